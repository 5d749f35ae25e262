"""What is in a data set of faces, and what is wrong with it: findings for people, figures for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from gaze.datasets.faults import Fault
from gaze.faces.checks import CLOSE, LOOSE, disagreement_rad, shared_people
from gaze.faces.index import people, place, words

AGREE_DEG = 0.01  # between the two labels of a row
SHOWN = 20
Counts = Mapping[str, Mapping[str, int]]  # of published files, by data set and file; "all" is of all files


class Examination:
    """Looks at one picture after the other, and then says what it saw.

    Args:
        table: rows whose labels can be used, as `check_labels` gives them.
        faults: of the others.
        counted: rows whose gaze was not of unit length.
        size: (height, width) that pictures should have; null: whatever they have.
        counts: rows of published files.
    """

    def __init__(
        self, table: pa.Table, faults: Sequence[Fault], counted: int, size: Sequence[int] | None, counts: Counts
    ) -> None:
        self.table, self.faults, self.counted, self.counts = table, list(faults), counted, counts
        self.size = None if size is None else tuple(size)
        self._sizes: Counter[tuple[int, ...]] = Counter()
        self._seen: dict[bytes, int] = {}  # of each picture's pixels the first row
        self._again: list[tuple[int, int]] = []
        self._kept = np.ones(len(table), dtype=bool)

    def look(self, row: int, image: Tensor) -> None:
        """Note a picture that could be decoded."""
        self._sizes[tuple(image.shape[-2:])] += 1
        pixels = blake2b(image.permute(1, 2, 0).contiguous().numpy().tobytes(), digest_size=16).digest()
        first = self._seen.setdefault(pixels, row)
        if first != row:
            self._again.append((first, row))

    def lost(self, row: int, why: str) -> None:
        """Note a picture that could not."""
        self._kept[row] = False
        self.faults.append(Fault(place(self.table, row), why, "a readable picture", "restore it, or remove the row"))

    def report(self) -> dict[str, Any]:
        """Figures and findings; `severe` ones say that figures of merit would be wrong."""
        table, part = self.table, words(self.table, "split")
        shared = shared_people(table, part)
        apart = [(a, b) for a, b in self._again if part[a] != part[b]]
        off = np.degrees(disagreement_rad(table))
        wrong = np.flatnonzero(off > AGREE_DEG).tolist()
        other = sum(count for size, count in self._sizes.items() if self.size is not None and size != self.size)
        severe = (
            [f"{len(self.faults)} rows can't be used: {'; '.join(map(str, self.faults[:3]))}"] if self.faults else []
        )
        severe += [
            f"{name} is in splits {' and '.join(str(part[row]) for row in rows)}" for name, rows in shared.items()
        ]
        severe += [f"{self._told(a)} and {self._told(b)} are one picture in two splits" for a, b in apart]
        if wrong:
            severe.append(
                f"the two labels of {len(wrong)} rows differ by up to {np.nanmax(off):.3g} degrees, first in "
                f"{place(table, wrong[0])}: is the order of angles or the frame of vectors another? See tools/audit_labels.py"
            )
        notes = self._short()
        if self.counted:
            notes.append(f"{self.counted} gaze vectors were {CLOSE:g} to {LOOSE:g} off unit length, and are made of it")
        if len(self._again) > len(apart):
            notes.append(f"{len(self._again) - len(apart)} pictures are there twice within a split")
        if other:
            notes.append(f"{other} pictures are not {' x '.join(map(str, self.size or ()))} px")
        largest = float(np.nanmax(off)) if np.isfinite(off).any() else math.nan
        return {
            "rows": int(self._kept.sum()),
            "faults": [str(fault) for fault in self.faults],
            "subjects": len(set(people(table)[self._kept].tolist())),
            "by_split": dict(Counter(name or "none" for name in part[self._kept].tolist())),
            "by_file": self._files(),
            "sizes_px": {" x ".join(map(str, size)): count for size, count in self._sizes.items()},
            "renormalised": self.counted,
            "labels_compared": int(np.isfinite(off).sum()),
            "largest_disagreement_deg": None if math.isnan(largest) else largest,
            "severe": severe,
            "notes": notes,
        }

    def _told(self, row: int) -> str:
        return f"{self.table['path'][row].as_py()} ({place(self.table, row)})"

    def _files(self) -> dict[str, int]:
        return dict(Counter(Path(name).name for name in words(self.table, "file")[self._kept].tolist()))

    def _short(self) -> list[str]:
        """Which published files have another number of rows here."""
        name, files = self.table["dataset"][0].as_py(), self._files()
        stems = {Path(file).stem: count for file, count in files.items()} | {"all": sum(files.values())}
        told = dict(self.counts.get(name, {}))
        return [
            f"{file} has {stems.get(file, 0):,} usable rows; published are {count:,}"
            for file, count in told.items()
            if stems.get(file, 0) != count
        ]


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """report.json and report.md in a folder."""
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "report.md").write_text("\n".join(sentences(report)) + "\n", encoding="utf-8")


def sentences(report: Mapping[str, Any]) -> list[str]:
    """The report as lines for people."""
    found = [f"ERROR: {what}" for what in report["severe"][:SHOWN]] + [f"note: {what}" for what in report["notes"]]
    if len(report["severe"]) > SHOWN:
        found.append(f"ERROR: ... and {len(report['severe']) - SHOWN} more in report.json")
    splits = ", ".join(f"{name} {count:,}" for name, count in report["by_split"].items())
    sizes = ", ".join(f"{count:,} of {size} px" for size, count in report["sizes_px"].items())
    largest = report["largest_disagreement_deg"]
    agree = "one label per row" if largest is None else f"labels agree to {largest:.2g} degrees"
    return [*found, f"{report['rows']:,} rows of {report['subjects']} subjects ({splits}); pictures: {sizes}; {agree}"]
