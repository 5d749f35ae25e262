"""Shows what a model draws of heads, epoch by epoch, for the same few views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from gaze.callbacks.sample_pictures import SamplePictures
from gaze.evaluation import on_batches
from gaze.pictures.head_sheet import head_sheet
from gaze.types import FaceInputs, PictureInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class HeadPictures(SamplePictures):
    """Photographs of heads beside what is drawn of them; see `SamplePictures`."""

    name, of, about = "head_pictures", (FaceInputs, PictureInputs), "views of heads"

    def __init__(self, samples: int = 6, every_epochs: int = 1, height: int = 128) -> None:
        super().__init__(samples, every_epochs, height)

    def sheet(self, trainer: Trainer, rows: Sequence[int]) -> UInt8[Tensor, "3 H W"]:
        return head_sheet(
            trainer.val_set,
            rows,
            on_batches(trainer.eval_model, trainer.hardware, trainer.amp),
            title=f"epoch {trainer.epoch}",
            height=self.height,
        )
