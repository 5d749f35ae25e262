"""Which people train and which test a model: rules that make such splits, and the file that keeps one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from gaze.errors import UserError

log = logging.getLogger(__name__)

VERSION = 1
SPLITS = ("train", "val", "test")
PATHS = ("face_path", "left_eye_path", "right_eye_path", "frame_path")
SHOWN = 5

Subjects = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Manifest:
    """A split of people, and the files it was told with, if it was.

    Raises:
        UserError: a person is in two splits.
    """

    dataset: str
    rule: Mapping[str, Any]  # how it was made; kind is official, random, kfold, loso or imported
    subjects: Subjects
    files: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    created: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.subjects) - set(SPLITS))
        if unknown:
            raise UserError(f"a split is named {unknown[0]!r}; expected {', '.join(SPLITS)}")
        owner: dict[str, str] = {}
        twice = []
        for split, names in self.subjects.items():
            for name in names:
                if owner.setdefault(name, split) != split:
                    twice.append(f"{name} in {owner[name]} and {split}")
        if twice:
            shown = ", ".join(twice[:SHOWN]) + (", ..." if len(twice) > SHOWN else "")
            raise UserError(f"{len(twice)} subjects are in two splits ({shown}); each person belongs in one")

    def split_of(self, subject: str) -> str:
        """train, val or test; unused for somebody it does not name."""
        return next((split for split, names in self.subjects.items() if subject in names), "unused")


def random_split(subjects: Iterable[str], fractions: Sequence[float] = (0.85, 0.05, 0.10), seed: int = 0) -> Subjects:
    """People drawn for train, val and test; at least one for each fraction above 0."""
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(
            f"fractions are {list(fractions)}; expected three shares for train, val and test that add up to 1"
        )
    names = _shuffled(subjects, seed)
    counts = [max(round(len(names) * share), int(share > 0)) for share in fractions[1:]]
    if sum(counts) >= len(names):
        raise UserError(
            f"{len(names)} subjects can't be split by {list(fractions)}; expected at least one for each share"
        )
    test, val = names[: counts[1]], names[counts[1] : sum(counts)]
    return _sorted(train=names[sum(counts) :], val=val, test=test)


def kfold(subjects: Iterable[str], folds: int, fold: int, seed: int = 0) -> Subjects:
    """One of several folds tests, the one after it validates, the others train."""
    names = _shuffled(subjects, seed)
    if not (3 <= folds <= len(names) and 0 <= fold < folds):
        raise UserError(f"fold {fold} of {folds} over {len(names)} subjects; expected 3 to {len(names)} folds from 0")
    parts = [names[start::folds] for start in range(folds)]
    val, test = parts[(fold + 1) % folds], parts[fold]
    return _sorted(train=[n for n in names if n not in {*val, *test}], val=val, test=test)


def leave_one_out(subjects: Iterable[str], subject: str, val: int = 1, seed: int = 0) -> Subjects:
    """One person tests, some drawn from the others validate, the rest train."""
    names = _shuffled(subjects, seed)
    if subject not in names:
        raise UserError(f"there is no subject {subject!r}; there are {', '.join(sorted(names)[:10])}")
    others = [name for name in names if name != subject]
    if not 0 <= val < len(others):
        raise UserError(f"{val} of {len(others)} other subjects can't validate; expected fewer, so that some train")
    return _sorted(train=others[val:], val=others[:val], test=[subject])


def official(pairs: Iterable[tuple[str, str]]) -> Subjects:
    """The split that (subject, split) pairs of a data set say."""
    known = {pair for pair in pairs if pair[1] in SPLITS}
    return {split: sorted(subject for subject, s in known if s == split) for split in SPLITS}


def write_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write it with its checksum, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    when = manifest.created or datetime.now(timezone.utc).isoformat(timespec="seconds")
    document: dict[str, Any] = {
        "version": VERSION,
        "dataset": manifest.dataset,
        "created": when,
        "unit": "subject",
        "rule": dict(manifest.rule),
        "subjects": {split: list(names) for split, names in manifest.subjects.items()},
    }
    if manifest.files:
        document["files"] = {split: [dict(file) for file in files] for split, files in manifest.files.items()}
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(json.dumps(document | {"sha256": _checksum(document)}, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def read_manifest(path: Path | str, root: Path | str | None = None) -> Manifest:
    """A split that was written, checked against its checksum; files that are missing below `root` are warned of.

    Raises:
        UserError: it is missing, damaged or of another version, or a person is in two splits.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the split {path} can't be read: {error}; expected a file that write_manifest wrote"
        ) from error
    if not isinstance(document, dict) or "subjects" not in document:
        raise UserError(
            f"{path} is not a split of subjects; for a list of file paths use tools/prepare_pog.py manifest="
        )
    if document.get("version") != VERSION:
        raise UserError(
            f"the split {path} has version {document.get('version')!r}; this program reads version {VERSION}"
        )
    if document.get("sha256") != _checksum(document):
        raise UserError(f"the split {path} was changed after it was written: its sha256 does not fit; make it again")
    files = document.get("files", {})
    if root is not None:
        warn_missing(files, Path(root))
    try:
        return Manifest(document["dataset"], document["rule"], document["subjects"], files, document["created"])
    except UserError as error:
        raise UserError(f"the split {path}: {error}") from error


def warn_missing(files: Mapping[str, Sequence[Mapping[str, Any]]], root: Path) -> int:
    """How many of the files are not there; a warning names the first."""
    named = [file[key] for part in files.values() for file in part for key in PATHS if file.get(key)]
    missing = [name for name in named if not (root / name).is_file()]
    if missing:
        shown = ", ".join(missing[:SHOWN])
        log.warning("%d of %d files of the split are not in %s (as %s)", len(missing), len(named), root, shown)
    return len(missing)


def _shuffled(subjects: Iterable[str], seed: int) -> list[str]:
    names = sorted(set(subjects))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    return [names[place] for place in order.tolist()]


def _sorted(**parts: Sequence[str]) -> Subjects:
    return {split: sorted(names) for split, names in parts.items()}


def _checksum(document: Mapping[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
