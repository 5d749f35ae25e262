"""Turns the recordings of a reader into a table: one Parquet part per few recordings, each whole or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gaze.datasets.image import ImageError
from gaze.devices import Device
from gaze.errors import UserError
from gaze.recordings.checks import advised
from gaze.recordings.completion import complete
from gaze.recordings.crops import Frame, Pictures, upright, with_pictures
from gaze.recordings.files import RecordingError
from gaze.recordings.landmark_json import LandmarkStore
from gaze.recordings.landmarking import Landmarker, landmarked
from gaze.recordings.rows import table_of
from gaze.recordings.sample import Reader, ScreenSample
from gaze.recordings.schema import header, open_file
from gaze.recordings.validation import POLICIES, InvalidRows, refusals
from gaze.recordings.writer import ScreenWriter
from gaze.synthesis.workers import mapping

log = logging.getLogger(__name__)

PLAN = "preparation.json"
CHUNK = 256  # frames that are in memory at once, in each process


@dataclass(frozen=True)
class Preparation:
    """All that decides what a table holds.

    Args:
        reader: of the recordings.
        pictures: how they are kept.
        devices: by name.
        invalid: what to do with a row that must not be trained on: raise, drop, or keep it with `valid` false.
        splits: {subject: split} where the split is not the data set's own; others are unused. Names of recordings
            do, too.
        store: landmarks from a file.
        landmarker: finds landmarks in pictures.
        own_boxes: draw boxes from landmarks even where the data set has some.
        per_part: recordings in one file.
    """

    reader: Reader
    pictures: Pictures
    devices: Mapping[str, Device]
    invalid: str = "keep"
    splits: Mapping[str, str] | None = None
    store: LandmarkStore | None = None
    landmarker: Landmarker | None = None
    own_boxes: bool = False
    per_part: int = 1

    def __post_init__(self) -> None:
        if self.invalid not in POLICIES:
            raise UserError(f"invalid is {self.invalid!r}; expected {', '.join(POLICIES)}")
        if self.per_part < 1:
            raise UserError(f"per_part is {self.per_part}; expected how many recordings are in one file, from 1")

    @property
    def kept(self) -> Pictures:
        """How the pictures of this reader are kept."""
        return self.pictures.of(self.reader.finished_crops)

    @property
    def boxes(self) -> str:
        """Where boxes come from, as the table says it."""
        return "landmarks" if self.own_boxes else self.reader.boxes


@dataclass(frozen=True)
class Part:
    """What is known of one file of the table, beside its rows."""

    path: Path
    recordings: Sequence[str]
    dropped: Mapping[str, int] = field(default_factory=dict)  # reason -> rows left out
    failed: Mapping[str, str] = field(default_factory=dict)  # recording -> why it could not be read


def prepare(
    preparation: Preparation,
    out: Path | str,
    plan: Mapping[str, Any],
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Part]:
    """Write the table, or what is missing of it.

    Args:
        preparation: what to write.
        out: the folder of the table.
        plan: the settings it was made from; what is there must have been made from the same.
        workers: processes; 0 works in this one. They change no row.
        overwrite: begin anew where other settings were used.
        progress: told (done, total) recordings.

    Raises:
        UserError: the folder holds something else, or rows are invalid and that is to be an error.
    """
    out = Path(out)
    with writing(out), _locked(out):
        _agree(out, plan, overwrite)
        key = hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()
        wanted = list(_parts(out, preparation.reader.recordings(), preparation.per_part))
        _clear(out, {part.path for part in wanted})
        total = sum(len(part.recordings) for part in wanted)
        there = {part.path: found for part in wanted if (found := _finished(part, key))}
        done = sum(len(part.recordings) for part in there.values())
        missing = [part for part in wanted if part.path not in there]
        progress(done, total)
        with mapping(workers) as each:
            for part in each(_Work(preparation, key), missing):
                there[part.path] = part
                done += len(part.recordings)
                progress(done, total)
        return [there[part.path] for part in wanted]


@dataclass(frozen=True)
class _Work:
    """Makes one part, in whatever process it is called."""

    preparation: Preparation
    key: str

    def __call__(self, part: Part) -> Part:
        dropped: Counter[str] = Counter()
        failed: dict[str, str] = {}
        source = hashlib.sha256()
        p = self.preparation
        with ScreenWriter(part.path, dataset=p.reader.dataset, boxes=p.boxes, crop=p.kept.facts()) as table:
            for recording in part.recordings:
                try:
                    for chunk in _chunks(p.reader.read(recording)):
                        for sample in chunk:
                            source.update(_fingerprint(sample))
                        table.write(_kept([_ready(s, p) for s in chunk], p, part.path.parent, dropped))
                except RecordingError as error:
                    if p.invalid == "raise":
                        raise
                    failed[recording] = str(error)
            table.source_sha256 = source.hexdigest()
            table.notes |= {"recordings": list(part.recordings), "plan": self.key}
            table.notes |= {"dropped": dict(dropped), "failed": failed}
        return replace(part, dropped=dict(dropped), failed=failed)


def _ready(sample: ScreenSample, p: Preparation) -> ScreenSample:
    """Completed, with its pictures; refused where they can't be used."""
    sample = complete(sample, p.devices)
    if p.splits is not None:
        split = p.splits.get(sample.subject) or p.splits.get(sample.recording, "unused")
        sample = replace(sample, split=split)
    frame = Frame(sample.picture)
    try:
        sample = upright(sample, frame)
        if p.store or p.landmarker:
            sample = landmarked(sample, frame.image, p.store, p.landmarker, p.own_boxes)
        # A row that the reader refused needs no picture, and often has none that can be used
        return with_pictures(sample, frame, p.kept) if sample.valid else _bare(sample)
    except (ImageError, ValueError) as error:
        reason = error.reason if isinstance(error, ImageError) else str(error)
        return _bare(replace(sample, valid=False, reject_reason=sample.reject_reason or f"picture: {reason}"))


def _bare(sample: ScreenSample) -> ScreenSample:
    return replace(sample, picture=None, face=None, left_eye=None, right_eye=None)


def _kept(samples: list[ScreenSample], p: Preparation, folder: Path, dropped: Counter[str]) -> Iterator[ScreenSample]:
    """The samples that go into the table, marked where they are invalid."""
    for sample, refused in zip(samples, refusals(table_of(samples, folder.absolute()), p.devices), strict=True):
        reason = sample.reject_reason or "refused by the reader" if not sample.valid else refused
        if reason is None:
            yield sample
        elif p.invalid == "raise" and (sample.valid or reason.startswith("picture: ")):
            raise InvalidRows(f"{sample.sample_id}: {advised(reason)}; or set invalid=keep to mark such rows, or drop")
        elif p.invalid == "drop":
            dropped[reason] += 1
        else:
            yield replace(sample, valid=False, reject_reason=reason)


def _chunks(samples: Iterator[ScreenSample]) -> Iterator[list[ScreenSample]]:
    while chunk := list(islice(samples, CHUNK)):
        yield chunk


def _fingerprint(sample: ScreenSample) -> bytes:
    """What was read, apart from where it lay: labels, and of pictures the bytes or the name and size."""
    values: list[Any] = []
    for f in fields(sample):
        value = getattr(sample, f.name)
        if isinstance(value, Path):
            value = (value.name, value.stat().st_size if value.is_file() else None)
        elif isinstance(value, bytes):
            value = hashlib.sha256(value).hexdigest()
        elif isinstance(value, np.ndarray):
            value = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        values.append(dict(value) if isinstance(value, Mapping) else value)
    return repr(values).encode()


def _parts(out: Path, recordings: Sequence[str], per_part: int) -> Iterator[Part]:
    for start in range(0, len(recordings), per_part):
        names = recordings[start : start + per_part]
        # By name, not by number: a recording that is added later moves no other
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", names[0])[:80]
        unique = "" if plain == names[0] else f"-{hashlib.sha256(names[0].encode()).hexdigest()[:8]}"
        yield Part(out / f"{plain}{unique}.parquet", names)


def _finished(part: Part, key: str) -> Part | None:
    """The part, if it was written whole from the same settings and recordings, and nothing failed that might not now."""
    if not part.path.exists():
        return None
    try:
        with open_file(part.path):
            notes = header(part.path).notes
    except UserError as error:
        log.warning("%s; it is made again", error)
        return None
    same = notes.get("plan") == key and notes.get("recordings") == list(part.recordings) and not notes.get("failed")
    return replace(part, dropped=notes["dropped"]) if same else None


def _agree(out: Path, plan: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse a folder that holds something else; write down what it will hold."""
    from gaze.durable import write_text
    from gaze.resumed import differences

    file = out / PLAN
    plain = json.loads(json.dumps(plan, default=str))
    if file.exists():
        changed = list(differences(json.loads(file.read_text()), plain))
        if changed and not overwrite:
            told = "; ".join(f"{key} was {before!r} and is now {now!r}" for key, before, now in changed)
            raise UserError(
                f"{out} was prepared with other settings: {told}; give the old ones to go on, another out=, or overwrite=true"
            )
    elif any(out.glob("*.parquet")):  # overwrite= is about tables of this tool
        raise UserError(f"{out} holds Parquet files, but no {PLAN}: another tool wrote them; choose another out=")
    write_text(file, json.dumps(plain, indent=2) + "\n")


def _clear(out: Path, wanted: set[Path]) -> None:
    """Remove parts that belong to no recording any more, and what an interrupted process left."""
    for path in out.glob(".*.part"):
        path.unlink(missing_ok=True)
    for path in sorted(set(out.glob("*.parquet")) - wanted):
        if not _ours(path):
            raise UserError(f"{path} is no part of this table, or damaged; move it elsewhere, or remove it")
        log.warning("%s belongs to no recording of the reader any more; it is removed", path)
        path.unlink()


def _ours(path: Path) -> bool:
    try:
        return "plan" in header(path).notes
    except UserError:
        return False


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Make the folder, and say in one sentence why it, or what goes into it, can't be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"{out} can't be written: {error}; free space, or choose another folder with out=; what is finished is kept, "
            "and the same command goes on"
        ) from error


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    with (out / ".lock").open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"{out} is being prepared by another process; wait for it, or choose another out="
            ) from error
        yield


def summary(parts: Sequence[Part]) -> dict[str, Any]:
    """What became of rows and recordings that are not in the table."""
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(part.dropped)
    failed = {name: why for part in parts for name, why in part.failed.items()}
    return {"dropped": dict(dropped.most_common()), "failed": failed}
