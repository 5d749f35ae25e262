"""From published archives of head views to a folder that training reads: files that were checked, splits, pairs, and an index."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from gaze.datasets.faults import DatasetError, Fault, report
from gaze.datasets.image import ImageError
from gaze.errors import UserError
from gaze.faces.index import by_number
from gaze.head_views.archives import Member, find_archives, members_of
from gaze.head_views.layout import KINDS, keys_of, kind_of, person_of
from gaze.head_views.lists import read_record, write_lists, write_pairs, write_record
from gaze.head_views.reading import HeadFile, read_file
from gaze.head_views.splits import tested_only
from gaze.head_views.unpacking import check_room, unpack

MEGA = 1_000_000
# Parts of archives' names that say whose files without a prefix are
HINTS = {
    "columbia": "columbia",
    "mpii": "mpii",
    "gazecapture": "gaze_capture",
    "gaze_capture": "gaze_capture",
    "xgaze": "xgaze",
}


@dataclass
class Report:
    """What was found. Sizes are of the first file; files of others are faults."""

    files: list[HeadFile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # of whole files, which are on no list
    rows: list[Fault] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)  # members of other data sets, by title
    unpacked: int = 0
    people: dict[str, list[str]] = field(default_factory=dict)  # by split

    def sentences(self) -> list[str]:
        """One line each."""
        lines = [
            f"{count} files of {title} are left in the archives; prepare them with kind=..."
            for title, count in self.left.items()
        ]
        if self.files:
            sizes = self.files[0].sizes
            views = sum(file.sizes.views for file in self.files)
            unmasked = sum(int((~file.masked).sum()) for file in self.files)
            lines += [
                f"{len(self.files)} people, {views} views, {self.unpacked} files unpacked just now",
                f"pictures of {sizes.height} px; latent codes of D = {sizes.codes} numbers; L3 = {sizes.landmarks} landmarks; "
                f"V = {sizes.vertices} vertices",
                f"{unmasked} views have no mask of the head or of either eye, and are not trained on",
                "; ".join(f"{split} {len(people)} people" for split, people in self.people.items()),
            ]
        rows = [report("the views", self.rows)] if self.rows else []
        return [*lines, *(f"ERROR: {fault}" for fault in [*self.faults, *rows])]

    @property
    def findings(self) -> int:
        """How many things are wrong."""
        return len(self.faults) + len(self.rows)


def prepare(
    source: str | Path | None,
    out: str | Path,
    kind: str = "xgaze",
    *,
    val_people: int = 0,
    pairs: str | None = None,
    seed: int = 0,
    key_map: Mapping[str, str | None] | None = None,
    vertex_stride: int | None = 100,
    gaze_limit_rad: float = 1.4,
    most_gb: float = 8.0,
    most_ratio: float = 200.0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Unpack the files of a data set, look at each, and write splits and pairs. What is there already is not done again.

    Args:
        source: a folder with archives, or one of them; None: files are in `out` already.
        out: the folder to make or to go on with.
        kind: which data set; see `layout.KINDS`.
        val_people: how many of the last people of training are validated on instead; 0: hold frames out with held_frames.
        pairs: a published list of targets for the test split; None: one is drawn from `seed`.
        key_map: see `HeadViews`.
        vertex_stride: of the index; see `HeadViews`.
        gaze_limit_rad: see `check_rows`.
        most_gb, most_ratio: see `members_of`.
        overwrite: replace files, splits and pairs that are others than those that were written here.
        progress: is called with (MB done, MB in all).

    Raises:
        UserError: archives or the folder are not what they should be. Files that are not of the layout are in the report.
    """
    if kind not in KINDS:
        raise UserError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    keys, folder = keys_of(key_map or {}), Path(out)
    if vertex_stride is None:
        keys["vertice"] = None
    folder.mkdir(parents=True, exist_ok=True)
    record, found = read_record(folder), Report()
    tests = set(record.get("tests", []))  # people from archives that are called test
    with ExitStack() as stack:
        members = {} if source is None else _members(Path(source), kind, found, stack, most_gb, most_ratio)
        tests |= {person_of(Path(name).stem) for name, (member, _) in members.items() if _of_tests(member)}
        unpacked = sum(member.info.file_size for member, _ in members.values())
        there = sum(path.stat().st_size for path in _own(folder, kind) if path.name not in members)
        work = _Work(2 * unpacked + there, progress)
        check_room(folder, sum(m.info.file_size for name, (m, _) in members.items() if not (folder / name).exists()))
        for name, (member, opened) in members.items():
            found.unpacked += unpack(member, opened, folder / name, overwrite, work.more)
    for path in _own(folder, kind):
        _look(path, keys, vertex_stride, gaze_limit_rad, found)
        work.more(path.stat().st_size)
    if not found.files:
        told = f": {found.faults[0]}" if found.faults else ""
        raise UserError(
            f"{folder} holds no file of {KINDS[kind].title} that can be used{told}; expected {KINDS[kind].prefix}*.h5"
        )
    found.people = _split(kind, [file.person for file in found.files], tests, val_people)
    names = {file.person: file.path.relative_to(folder).as_posix() for file in found.files}
    lists = {split: [names[person] for person in people] for split, people in found.people.items()}
    write_lists(folder, lists, record.get("lists"), overwrite)
    counts = {file.sizes.views for file in found.files if file.person in set(found.people["test"])}
    if len(counts) == 1:
        write_pairs(folder, counts.pop(), pairs, seed, overwrite)
    elif counts:
        told = ", ".join(map(str, sorted(counts)))
        found.faults.append(
            f"{folder}: people of the test split have {told} views; expected as many of each; fetch them again"
        )
    write_record(folder, {"kind": kind, "lists": lists, "tests": sorted(tests), "report": found.sentences()})
    return found


class _Work:
    """How many bytes are done of those to unpack and to look at."""

    def __init__(self, total: int, progress: Callable[[int, int], None]) -> None:
        self._total, self._done, self._progress = max(total, 1), 0, progress

    def more(self, count: int) -> None:
        self._done = min(self._done + count, self._total)
        self._progress(-(-self._done // MEGA), -(-self._total // MEGA))


def _of_tests(member: Member) -> bool:
    return re.search(r"(?<![a-z])test", member.archive.name.lower()) is not None


def _members(
    source: Path, kind: str, found: Report, stack: ExitStack, most_gb: float, most_ratio: float
) -> dict[str, tuple[Member, zipfile.ZipFile]]:
    """What is to be unpacked of all archives, by the name it gets."""
    members: dict[str, tuple[Member, zipfile.ZipFile]] = {}
    for archive in find_archives(source):
        opened = stack.enter_context(archive.opened())
        hint = next((other for part, other in HINTS.items() if part in archive.name.lower()), None)
        for member in members_of(archive, opened, most_gb, most_ratio):
            stem = member.name.removesuffix(".h5")
            own = kind_of(stem) or hint or kind
            if own != kind:
                found.left[KINDS[own].title] = found.left.get(KINDS[own].title, 0) + 1
                continue
            name = f"{KINDS[kind].prefix}{person_of(stem)}.h5"
            twin = members.setdefault(name, (member, opened))[0]
            if (twin.info.CRC, twin.info.file_size) != (member.info.CRC, member.info.file_size):
                raise UserError(
                    f"{member.info.filename} of {archive.name} and {twin.info.filename} of {twin.archive.name} would both be "
                    f"{name}; expected one file of each person; move one of the archives elsewhere"
                )
    return members


def _look(
    path: Path, keys: Mapping[str, str | None], vertex_stride: int | None, gaze_limit_rad: float, found: Report
) -> None:
    """Note what a file holds, or what is wrong with it."""
    try:
        file = read_file(person_of(path.stem), path, keys, vertex_stride, 0, gaze_limit_rad)
    except (DatasetError, ImageError) as error:
        found.faults.append(str(error))
        return
    first = found.files[0] if found.files else file
    if _shape(file) != _shape(first):
        found.faults.append(
            f"{path} has {_shape(file)} and {first.path} {_shape(first)}; expected one size; fetch it again"
        )
        return
    found.files.append(file)
    found.rows += file.faults


def _own(folder: Path, kind: str) -> list[Path]:
    paths = {str(path): path for path in folder.rglob("*.h5") if kind_of(path.stem) in (None, kind)}
    return [paths[name] for name in by_number(paths)]


def _shape(file: HeadFile) -> str:
    sizes = file.sizes
    return f"{sizes.height} px, D = {sizes.codes}, L3 = {sizes.landmarks}, V = {sizes.vertices}"


def _split(kind: str, people: Sequence[str], tests: set[str], val_people: int) -> dict[str, list[str]]:
    tested = set(tested_only(kind, people)) | tests
    train = [person for person in people if person not in tested]
    if not 0 <= val_people < max(len(train), 1):
        raise UserError(f"val_people is {val_people} of {len(train)} people to train on; expected fewer, or 0 for none")
    end = len(train) - val_people
    return {"train": train[:end], "val": train[end:], "test": [person for person in people if person in tested]}
