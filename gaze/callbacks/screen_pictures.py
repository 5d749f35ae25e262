"""Shows what a point-of-gaze model predicts, epoch by epoch, for the same few samples."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gaze.callbacks.callback import Callback
from gaze.evaluation import on_batches
from gaze.pictures.gazes import gaze_sheet
from gaze.pictures.samples import spread
from gaze.pictures.sheet import save_picture
from gaze.types import ScreenInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class ScreenPictures(Callback):
    """Writes `pictures/epoch_003.png` into the run directory: a sheet of validation samples after 3 epochs.

    Args:
        samples: how many, evenly spaced over the validation set.
        every_epochs: epochs between two sheets; the last epoch always has one.
        height: of each crop on the sheet, pixels.

    Raises:
        ValueError: a setting is out of range, or, when training starts, the samples are not of screens.
    """

    def __init__(self, samples: int = 8, every_epochs: int = 1, height: int = 160) -> None:
        for name, number, least in (("samples", samples, 1), ("every_epochs", every_epochs, 1), ("height", height, 32)):
            if number < least:
                raise ValueError(f"callback.screen_pictures.{name} is {number}; expected {least} or more")
        self.samples, self.every_epochs, self.height = samples, every_epochs, height

    def fit_start(self, trainer: Trainer) -> None:
        inputs = trainer.val_set[0].inputs
        if not isinstance(inputs, ScreenInputs):
            raise ValueError(
                f"callback.screen_pictures draws screens, but the validation samples hold {type(inputs).__name__}; "
                "leave screen_pictures out of the list of callbacks"
            )

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        last = trainer.epoch == trainer.epochs or trainer.stop
        if not trainer.hardware.main or (trainer.epoch % self.every_epochs and not last):
            return
        picture = gaze_sheet(
            trainer.val_set,
            spread(len(trainer.val_set), self.samples),
            on_batches(trainer.eval_model, trainer.hardware, trainer.amp),
            title=f"epoch {trainer.epoch}     dot: predicted, ring: true",
            height=self.height,
        )
        file = trainer.run.path / "pictures" / f"epoch_{trainer.epoch:03d}.png"
        try:
            save_picture(picture, file)
        except OSError as error:
            logger.warning("could not write %s: %s; training goes on", file, error)
