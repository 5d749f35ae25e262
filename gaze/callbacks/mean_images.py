"""Gives trunks that subtract a mean image the mean of the crops they will see, before the first step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gaze.backbones.itracker_tower import MeanImage
from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class MeanImages(Callback):
    """Fills the mean image of each trunk, stream by stream, from samples spread evenly over the training split.

    Only at the start of a run, and not where `init` or a checkpoint brought one. It is the mean of what samples are
    before they are augmented; a trunk for both eyes gets the mean of left and mirrored right ones, which it sees.

    Args:
        samples: how many crops of each stream to average at most.
    """

    def __init__(self, samples: int = 1000) -> None:
        if samples < 1:
            raise ValueError(f"callback.mean_images.samples is {samples}; expected 1 or more")
        self.samples = samples

    def fit_start(self, trainer: Trainer) -> None:
        # An average made before this callback's turn has buffers of its own.
        models: list[Any] = list(dict.fromkeys([trainer.model, trainer.eval_model]))
        for name in trainer.model.trunks:  # type: ignore[union-attr, operator]
            for module in (m for model in models for m in model.trunks[name].modules()):
                if isinstance(module, MeanImage) and module.whole and bool((module.image == 0.5).all()):
                    mean = self._mean(trainer, name)
                    if mean.shape != module.image.shape:
                        raise ValueError(
                            f"crops of {name} are {tuple(mean.shape[-2:])} px and the mean image of its trunk is "
                            f"{tuple(module.image.shape[-2:])}; set model.trunks.{name}.mean_image to the crops' size"
                        )
                    module.image.copy_(mean)
                    logger.info("%s: a mean image, of mean %.3f", name, float(mean.mean()))

    def _mean(self, trainer: Trainer, trunk: str) -> Tensor:
        data = trainer.train_set
        total, count = torch.zeros(()), 0
        for row in torch.linspace(0, len(data) - 1, min(self.samples, len(data))).round().int().tolist():
            inputs = data.seen(row).inputs
            for stream in ("left_eye", "right_eye") if trunk == "eyes" else (trunk,):
                crop = getattr(inputs, stream)
                if crop is None:
                    raise ValueError(f"samples hold no {stream} to average; add it to dataset.streams")
                mirrored = crop.flip(-1) if (trunk, stream) == ("eyes", "right_eye") else crop
                total, count = total + mirrored / 255, count + 1
        return total / count
