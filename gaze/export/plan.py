"""A run's model on its way into a file: what is put there, and what the file must then answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from gaze.export.verification import Checks, Trial


class Wishes(NamedTuple):
    """What was asked for, beside the kind of file; see `gaze.export.exporter.export`."""

    names: str = "gaze"
    size: list[int] | int | None = None
    preprocess: str = "inside"
    weights: str = "float32"
    calibration: str | None = None


class Plan(ABC):
    """How one kind of model is exported.

    Attributes:
        graph: the model behind its inputs, which are the arguments of its forward by name.
        example: inputs to trace it with. Sizes of axes that may vary are neither 0 nor 1 nor equal: torch takes such
            sizes for constants.
        dynamic: for each input which axes may have any size.
        about: the inputs in one sentence, for whoever opens the file.
        stem: of the file's usual name.
        formats: that can hold such models.
        tolerance: the largest difference from PyTorch that is usual, in `unit`.
        unit: of that difference, for messages.
        anywhere: must the graph be free of any device, the CPU too?
        pictures: inputs that are pictures of values from 0 to 255.
    """

    graph: nn.Module
    example: dict[str, Tensor]
    dynamic: dict[str, dict[int, Any]]
    about: str
    stem: str
    formats: Sequence[str]
    tolerance: float
    unit: str
    anywhere: bool
    pictures: Sequence[str] = ()

    @abstractmethod
    def text(self, outputs: dict[str, Tensor], run: str | Path) -> str:
        """What the file is to say about itself, as JSON; `outputs` are those of `example`."""

    def measured(self) -> dict[str, float]:
        """What was lost before the graph was made, for the card.

        Raises:
            ExportError: it is too much.
        """
        return {}

    @abstractmethod
    def trials(self) -> Iterator[Trial]:
        """What the file is asked, and what PyTorch answers."""

    @abstractmethod
    def timed(self) -> Iterator[Trial]:
        """What is timed."""

    def card(self, text: str, file: Path, checks: Checks) -> str | None:
        """What stands in a file beside it, as JSON; None: nothing does.

        Args:
            text: what the file says about itself.
            file: where it is for now.
            checks: what was found when it was compared.
        """
        return None
