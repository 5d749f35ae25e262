"""Shows what a scene model predicts, epoch by epoch, on the same few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from gaze.callbacks.sample_pictures import SamplePictures
from gaze.evaluation import on_batches
from gaze.pictures.samples import scene_sheet
from gaze.types import SceneInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class ScenePictures(SamplePictures):
    """Pictures with heatmaps and points of all heads; see `SamplePictures`."""

    name, of, about = "scene_pictures", SceneInputs, "scenes"

    def __init__(self, samples: int = 8, every_epochs: int = 1, height: int = 320) -> None:
        super().__init__(samples, every_epochs, height)

    def sheet(self, trainer: Trainer, rows: Sequence[int]) -> UInt8[Tensor, "3 H W"]:
        return scene_sheet(
            trainer.val_set,
            rows,
            on_batches(trainer.eval_model, trainer.hardware, trainer.amp),  # type: ignore[arg-type]
            title=f"epoch {trainer.epoch}     dot: predicted, ring: annotated",
            height=self.height,
        )
