"""What a data set does about samples that can't be used: tells them, leaves them out, and finds stand-ins in training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from gaze.datasets.faults import DatasetError, Fault, report
from gaze.datasets.image import ImageError

log = logging.getLogger(__name__)

IN_A_ROW = 8  # unreadable samples, at which training stops anyway
REMEDY = "Correct them, or drop what is at fault: on_corrupt=skip"
V = TypeVar("V")


class Substitutes:
    """The faults of a split, those that were found when it was opened and those that come to light in training.

    Args:
        title: of the split.
        on_corrupt: "raise" makes any fault an error; "skip" drops what is at fault.
        dropped: what was found when it was opened.
        answers: rows that there were, with those at fault.
        skip_limit: the most faults, as a share of these.
        rows: what they are called.

    Raises:
        DatasetError: there are faults, or more than may be.
    """

    def __init__(
        self, title: str, on_corrupt: str, dropped: Sequence[Fault], answers: int, skip_limit: float, rows: str
    ) -> None:
        self.title, self.skips, self.dropped = title, on_corrupt == "skip", list(dropped)
        if dropped and not self.skips:
            raise DatasetError(f"{report(title, dropped)}\n{REMEDY}")
        if len(dropped) > skip_limit * answers:
            limit = f"more than skip_limit={skip_limit:g} of its {answers} {rows}; correct them or raise the limit"
            raise DatasetError(f"{report(title, dropped)}\nThat is {limit}")

    def begin(self, samples: int) -> None:
        """Go on without what was dropped, with so many samples."""
        if self.dropped:
            log.warning("%s; skipped", report(self.title, self.dropped))
        self._replaced = torch.zeros(samples, dtype=torch.bool).share_memory_()  # written by loader workers

    def readable(self, index: int, read: Callable[[int], V], substitute: bool = True) -> tuple[V, int]:
        """What `read` gives of sample `index`, or, where "skip" is asked for, of the next it can; and which one it is.

        Args:
            substitute: may another one stand in?

        Raises:
            ImageError: it can't be read, and no other stands in.
        """
        samples = len(self._replaced)
        for attempt in range(IN_A_ROW):
            try:
                return read(index), index
            except ImageError as error:
                if not (substitute and self.skips) or attempt == IN_A_ROW - 1:
                    raise
                log.warning("%s; sample %d takes its place", error, (index + 1) % samples)
                self._replaced[index] = True
                index = (index + 1) % samples
        raise AssertionError("the loop returns or raises")

    def faults(self, name: Callable[[int], str], kind: str, expected: str, do: str) -> list[Fault]:
        """What was dropped, and what was replaced since in any loader worker.

        Args:
            name: of a sample by its number; `kind`: what samples are called.
            expected, do: of those that were replaced.
        """
        found = f"can't be read, and another {kind} takes its place"
        late = self._replaced.nonzero()[:, 0].tolist()
        return [*self.dropped, *(Fault(name(i), found, expected, do) for i in late)]
