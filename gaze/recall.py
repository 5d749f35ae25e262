"""Remembers what a frozen network said about inputs that come back: exact keys, half precision, bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

logger = logging.getLogger(__name__)

_BYTES = 1_000_000_000  # of a gigabyte


class Recall:
    """Rows by key, computed once and then kept in main memory, as float16, until `gigabytes` are full.

    What is computed anew is rounded to float16 as well, so that an answer doesn't depend on what is remembered.

    Args:
        gigabytes: most memory for rows; what comes later is computed each time.
        name: what messages call the network.

    Raises:
        ValueError: `gigabytes` is negative; in a call, an answer is not finite or too large for float16.
    """

    def __init__(self, gigabytes: float, name: str) -> None:
        if gigabytes < 0:
            raise ValueError(f"the memory for {name} is {gigabytes} GB; expected 0 or more")
        self.left, self.name = round(gigabytes * _BYTES), name
        self.full = False
        self.rows: dict[Hashable, Tensor] = {}
        self.hits = 0

    def __call__(
        self, keys: Sequence[Hashable], compute: Callable[[Int[Tensor, "m"]], Shaped[Tensor, "m ..."]]
    ) -> Shaped[Tensor, "n ..."]:
        """A row for each key, in float16 on the CPU or, if all are new, on the device that computed them.

        Args:
            compute: the rows of those inputs, given by number, that are not remembered.
        """
        unknown = [number for number, key in enumerate(keys) if key not in self.rows]
        self.hits += len(keys) - len(unknown)
        if not unknown:
            return _stacked([self.rows[key] for key in keys])
        fresh = compute(torch.tensor(unknown)).half()
        here = fresh.cpu()
        if not here.isfinite().all():
            raise ValueError(
                f"what {self.name} said is not finite in half precision, so it can't be remembered; train without that"
            )
        self._keep([keys[number] for number in unknown], here)
        if len(unknown) == len(keys):
            return fresh
        place = {number: row for row, number in enumerate(unknown)}
        return _stacked([here[place[n]] if n in place else self.rows[key] for n, key in enumerate(keys)])

    def _keep(self, keys: Sequence[Hashable], rows: Tensor) -> None:
        size = rows[0].numel() * rows.element_size()
        for key, row in zip(keys, rows, strict=True):
            if key in self.rows:  # twice in one batch
                continue
            if self.left < size:
                if not self.full and not self.hits:
                    logger.warning(
                        "%s: memory is full and no input has come back yet: augmentation makes each one new; "
                        "take augmentation out, or spare the memory",
                        self.name,
                    )
                self.full = True
                return
            self.rows[key] = row.clone()  # a view would keep the whole batch
            self.left -= size


@torch.autocast("cpu", enabled=False)  # it refuses to stack float16
def _stacked(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows)


def fingerprints(*parts: Shaped[Tensor, "n ..."]) -> list[tuple[int, ...]]:
    """A key for each row of the parts, equal for equal values: exact, and the same on every device.

    Images in [0, 1] are compared as the 8 bits a channel they came from, other numbers bit by bit.
    """
    columns = [_hash(_whole(part).flatten(1)).tolist() for part in parts]  # the one wait for the device
    return list(zip(*columns, strict=True))


def _whole(part: Tensor) -> Tensor:
    """The values as whole numbers."""
    if part.ndim == 4 and part.is_floating_point():
        return (part * 255).round().to(torch.int64)
    return part.float().contiguous().view(torch.int32).long() if part.is_floating_point() else part.long()


def _hash(rows: Int[Tensor, "n k"]) -> Int[Tensor, "n"]:
    """A weighted sum modulo 2^64: integers add up alike in any order, floats would not."""
    generator = torch.Generator().manual_seed(rows.shape[1])
    weights = torch.randint(-(2**63), 2**63 - 1, (rows.shape[1],), generator=generator)
    return (rows * weights.to(rows.device)).sum(1)
