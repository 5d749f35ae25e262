"""The labels of a table of faces as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gaze.datasets.direction_labels import Attribute, DirectionLabels
from gaze.faces.index import ATTRIBUTE, numbers, people, words


def direction_labels(table: pa.Table) -> DirectionLabels:
    """One row per row of the table."""
    subjects, subject = _numbered(people(table))
    datasets, dataset = _numbered(words(table, "dataset"))
    session = words(table, "session")
    _, number = _numbered(people(table) + "/" + session)  # people of one recording have frames of the same numbers
    known = torch.from_numpy(session != "")
    return DirectionLabels(
        gaze=torch.from_numpy(numbers(table, "gaze")).float(),
        head=torch.from_numpy(numbers(table, "head")).float(),
        subject=subject,
        subjects=subjects,
        dataset=dataset,
        datasets=datasets,
        session=torch.where(known, number, -1),
        frame=torch.tensor(table["frame"].to_pylist()),
        detected=torch.tensor(table["detected"].to_pylist()),
        attributes={
            name.removeprefix(ATTRIBUTE): _attribute(table[name].to_pylist())
            for name in table.column_names
            if name.startswith(ATTRIBUTE)
        },
    )


def _attribute(told: Sequence[str | None]) -> Attribute:
    values = sorted({value for value in told if value is not None})
    number = {value: i for i, value in enumerate(values)}
    return Attribute(tuple(values), torch.tensor([-1 if value is None else number[value] for value in told]))


def _numbered(names: np.ndarray) -> tuple[tuple[str, ...], Tensor]:
    distinct, number = np.unique(names.astype(str), return_inverse=True)
    return tuple(distinct.tolist()), torch.from_numpy(number.astype(np.int64))
