"""Shows what a point-of-gaze model predicts, epoch by epoch, for the same few samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from gaze.callbacks.sample_pictures import SamplePictures
from gaze.evaluation import on_batches
from gaze.pictures.gazes import gaze_sheet
from gaze.types import ScreenInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class ScreenPictures(SamplePictures):
    """Crops with true and predicted points on a drawing of the screen; see `SamplePictures`."""

    name, of, about = "screen_pictures", ScreenInputs, "screens"

    def __init__(self, samples: int = 8, every_epochs: int = 1, height: int = 160) -> None:
        super().__init__(samples, every_epochs, height)

    def sheet(self, trainer: Trainer, rows: Sequence[int]) -> UInt8[Tensor, "3 H W"]:
        return gaze_sheet(
            trainer.val_set,
            rows,
            on_batches(trainer.eval_model, trainer.hardware, trainer.amp),
            title=f"epoch {trainer.epoch}     dot: predicted, ring: true",
            height=self.height,
        )
