"""An order of rows that is random enough to train on and near enough to sequential to be fast."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Generator, Tensor


def shuffled(
    rows: Int[Tensor, "n"], bounds: Int[Tensor, "g"], generator: Generator, buffer: int = 8
) -> Int[Tensor, "n"]:
    """Positions in `rows`, shuffled so that only `buffer` row groups are in use at any time.

    Row groups are put in a random order and taken `buffer` at a time; within each such lot, all rows are shuffled.

    Args:
        rows: numbers of rows, as `read_columns` gives them.
        bounds: first row of each row group, and behind the last the number of rows (`RowReader.bounds`).
        generator: decides everything.
        buffer: row groups that a `RowReader` keeps.
    """
    groups = len(bounds) - 1
    place = torch.empty(groups, dtype=torch.int64)
    place[torch.randperm(groups, generator=generator)] = torch.arange(groups)
    group = torch.searchsorted(bounds, rows, right=True) - 1
    order = torch.randperm(len(rows), generator=generator)
    # A stable sort by lot of rows in random order leaves them random within each lot
    return order[(place[group[order]] // buffer).argsort(stable=True)]
