"""Whether the people whom figures are of were trained on: what a model knows of them is not what it can do with strangers."""

from __future__ import annotations

import json
from pathlib import Path

from gaze.datasets.dataset import Dataset
from gaze.provenance import data_fingerprint

PROVENANCE = "provenance.json"


def acquaintance(data: Dataset, training: Dataset) -> str:
    """How many people a split has, and how many of them a training split, in words.

    Names mean the same people only below the same root, where data sets have one.
    """
    people = {str(data.group(i)) for i in range(len(data))}
    said = "1 person" if len(people) == 1 else f"{len(people)} people"
    if getattr(data, "root", None) != getattr(training, "root", None):
        return f"{said} of another data set than was trained on"
    known = len(people & {str(training.group(i)) for i in range(len(training))})
    if known == len(people):
        return f"{said}, the same as were trained on"
    return f"{said}, {known or 'none'} of whom {'was' if known == 1 else 'were'} trained on"


def acquaintance_of(run: str | Path, data: Dataset, training: Dataset | None) -> str:
    """The same of a finished run, as far as what it wrote down at its start shows that this is its training split."""
    if training is not None and _is_of(run, training):
        return acquaintance(data, training)
    people = len({data.group(i) for i in range(len(data))})
    return f"people: {people}, and whether the run was trained on them is not known"


def _is_of(run: str | Path, training: Dataset) -> bool:
    file = Path(run) / PROVENANCE
    if not file.is_file():
        return False
    known = json.loads(file.read_text()).get("data", {}).get("train", {}).get("sha256")
    return bool(known == data_fingerprint(training))
