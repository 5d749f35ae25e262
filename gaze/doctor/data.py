"""The data set of the config: is it there, and can a few samples of each split be read?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, warning


def root(case: Case) -> Iterator[Finding]:
    """Where data sets are looked for, when nothing else is known."""
    if case.config is not None:
        return
    import os

    folder = Path(os.environ.get("GAZE_DATA", "data"))
    if folder.is_dir():
        names = sorted(p.name for p in folder.iterdir())
        yield ok(
            "data", f"{folder.absolute()} holds {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"
        )
    else:
        yield ok(
            "data",
            f"there is no {folder.absolute()}; make some by 'python tools/synthesize.py world=scene out=data/scenes', or "
            "name the folder of yours with GAZE_DATA",
        )


def splits(case: Case) -> Iterator[Finding]:
    """Can the training and the validation split be opened, and a few of their samples be read?"""
    if not case.sound:
        return
    opened = case.splits
    failed: dict[str, str] = {split: case.failures[split] for split in ("train", "val") if split in case.failures}
    if len(set(failed.values())) == 1:  # a folder that is not there says so once
        failed = {", ".join(failed): next(iter(failed.values()))}
    for split, why in failed.items():
        yield problem(split, why)
    for split, data in opened.items():
        yield from samples(case, split, data)
        faults = list(data.faults)
        if faults:
            yield warning(split, f"{len(faults)} entries can't be used and are left out, such as {faults[0]}")


def samples(case: Case, split: str, data: Any) -> Iterator[Finding]:
    """How many samples there are, and how long one takes; what the first one that fails says."""
    if not len(data):
        yield problem(split, "the split has no samples; look at val_fraction or at the lists of the data set")
        return
    if split == "train":
        read, seconds = len(case.examples), case.seconds_each
        if not read:
            yield problem(split, case.failures["examples"])
            return
    else:
        rows, began = sorted({0, len(data) // 2, len(data) - 1}), time.monotonic()
        for row in rows:
            try:
                data.sample(row, None)
            except Exception as error:
                yield problem(split, f"{data.name(row)} can't be read: {said(error)}")
                return
        read, seconds = len(rows), (time.monotonic() - began) / len(rows)
    yield ok(split, f"{len(data):,} samples; {read} of them read, {seconds * 1000:.0f} ms each")
