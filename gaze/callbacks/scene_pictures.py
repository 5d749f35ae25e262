"""Shows what a scene model predicts, epoch by epoch, on the same few pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from gaze.callbacks.callback import Callback
from gaze.pictures.samples import scene_sheet, spread
from gaze.pictures.sheet import save_picture
from gaze.types import Batch, SceneInputs, ScenePrediction, SceneTargets

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class ScenePictures(Callback):
    """Writes `pictures/epoch_003.png` into the run directory: a sheet of validation pictures after 3 epochs.

    Args:
        images: how many, evenly spaced over the validation set.
        every_epochs: epochs between two sheets; the last epoch always has one.
        height: of each picture on the sheet, pixels.

    Raises:
        ValueError: a setting is out of range, or, when training starts, the samples are not scenes.
    """

    def __init__(self, images: int = 8, every_epochs: int = 1, height: int = 320) -> None:
        for name, number, least in (("images", images, 1), ("every_epochs", every_epochs, 1), ("height", height, 32)):
            if number < least:
                raise ValueError(f"callback.scene_pictures.{name} is {number}; expected {least} or more")
        self.images, self.every_epochs, self.height = images, every_epochs, height

    def fit_start(self, trainer: Trainer) -> None:
        inputs = trainer.val_set[0].inputs
        if not isinstance(inputs, SceneInputs):
            raise ValueError(
                f"callback.scene_pictures draws scenes, but the validation samples hold {type(inputs).__name__}; "
                "leave scene_pictures out of the list of callbacks"
            )

    @torch.no_grad()
    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        last = trainer.epoch == trainer.epochs or trainer.stop
        if not trainer.hardware.main or (trainer.epoch % self.every_epochs and not last):
            return

        def predict(batch: Batch[SceneInputs, SceneTargets]) -> ScenePrediction:
            trainer.eval_model.eval()
            with trainer.hardware.autocast(trainer.amp):
                prediction: ScenePrediction = trainer.eval_model(trainer.hardware.place(batch).inputs)
            return prediction

        picture = scene_sheet(
            trainer.val_set,
            spread(len(trainer.val_set), self.images),
            predict,
            title=f"epoch {trainer.epoch}     dot: predicted, ring: annotated",
            height=self.height,
        )
        file = trainer.run.path / "pictures" / f"epoch_{trainer.epoch:03d}.png"
        try:
            save_picture(picture, file)
        except OSError as error:
            logger.warning("could not write %s: %s; training goes on", file, error)
