"""Shows what a model predicts, epoch by epoch, for the same few samples of the validation set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import UInt8
from torch import Tensor

from gaze.callbacks.callback import Callback
from gaze.pictures.samples import spread
from gaze.pictures.sheet import save_picture

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class SamplePictures(Callback):
    """Writes `pictures/epoch_003.png` into the run directory: a sheet of validation samples after 3 epochs.

    Each system has its own way to draw them, in a class made from this one.

    Args:
        samples: how many, evenly spaced over the validation set.
        every_epochs: epochs between two sheets; the last epoch always has one.
        height: of each picture on the sheet, pixels.

    Raises:
        ValueError: a setting is out of range, or, when training starts, the samples are not what is drawn here.
    """

    name: ClassVar[str]  # of the callback in configs
    of: ClassVar[type | tuple[type, ...]]  # the inputs that samples hold
    about: ClassVar[str]  # what such samples are, for messages

    def __init__(self, samples: int, every_epochs: int, height: int) -> None:
        for name, number, least in (("samples", samples, 1), ("every_epochs", every_epochs, 1), ("height", height, 32)):
            if number < least:
                raise ValueError(f"callback.{self.name}.{name} is {number}; expected {least} or more")
        self.samples, self.every_epochs, self.height = samples, every_epochs, height

    def sheet(self, trainer: Trainer, rows: Sequence[int]) -> UInt8[Tensor, "3 H W"]:
        """The sheet of these validation samples."""
        raise NotImplementedError

    def fit_start(self, trainer: Trainer) -> None:
        inputs = trainer.val_set[0].inputs
        if not isinstance(inputs, self.of):
            raise ValueError(
                f"callback.{self.name} draws {self.about}, but the validation samples hold {type(inputs).__name__}; "
                f"leave {self.name} out of the list of callbacks"
            )

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        last = trainer.epoch == trainer.epochs or trainer.stop
        if not trainer.hardware.runs_along or (trainer.epoch % self.every_epochs and not last):
            return
        picture = self.sheet(trainer, spread(len(trainer.val_set), self.samples))
        if not trainer.hardware.main:
            return
        file = trainer.run.path / "pictures" / f"epoch_{trainer.epoch:03d}.png"
        try:
            save_picture(picture, file)
        except OSError as error:
            logger.warning("could not write %s: %s; training goes on", file, error)
