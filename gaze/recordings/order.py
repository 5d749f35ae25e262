"""An order of rows that is random enough to train on and near enough to sequential to be fast."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Generator, Tensor


def lots(rows: Int[Tensor, "n"], bounds: Int[Tensor, "g"], generator: Generator, buffer: int = 8) -> Int[Tensor, "n"]:
    """For each row the number of its lot: row groups in a random order, at most `buffer` to a lot and as many to each.

    Args:
        rows: numbers of rows, as `read_columns` gives them.
        bounds: first row of each row group, and behind the last the number of rows (`RowReader.bounds`).
        generator: decides everything; draws as often for any rows.
        buffer: row groups that a `RowReader` keeps.
    """
    groups = len(bounds) - 1
    place = torch.empty(groups, dtype=torch.int64)
    place[torch.randperm(groups, generator=generator)] = torch.arange(groups)
    # Evenly, so that no last lot is of a row group or two: there would be nobody to mix with
    count = -(-groups // buffer)
    return (place * count // groups)[torch.searchsorted(bounds, rows, right=True) - 1]


def shuffled(lot: Int[Tensor, "n"], generator: Generator) -> Int[Tensor, "n"]:
    """Positions in `lot`, one lot after the other and all rows of a lot shuffled."""
    order = torch.randperm(len(lot), generator=generator)
    # A stable sort by lot of rows in random order leaves them random within each lot
    return order[lot[order].argsort(stable=True)]
