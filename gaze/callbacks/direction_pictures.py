"""Shows which way a model says that people look, epoch by epoch, for the same few faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from gaze.callbacks.sample_pictures import SamplePictures
from gaze.evaluation import on_batches
from gaze.pictures.direction_sheet import direction_sheet
from gaze.types import DirectionInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class DirectionPictures(SamplePictures):
    """Faces with arrows along the true and the predicted gaze; see `SamplePictures`."""

    name, of, about = "direction_pictures", DirectionInputs, "faces"

    def __init__(self, samples: int = 12, every_epochs: int = 1, height: int = 160) -> None:
        super().__init__(samples, every_epochs, height)

    def sheet(self, trainer: Trainer, rows: Sequence[int]) -> UInt8[Tensor, "3 H W"]:
        return direction_sheet(
            trainer.val_set,
            rows,
            on_batches(trainer.eval_model, trainer.hardware, trainer.amp),
            title=f"epoch {trainer.epoch}     blue: predicted, yellow: true",
            height=self.height,
        )
