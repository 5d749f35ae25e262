"""Gives a mesh head its neutral landmarks to begin with, before the first step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.backbones.mesh_head import MeshHead
from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class NeutralLandmarks(Callback):
    """Fills the neutral landmarks of mesh heads with those of the first training sample, as published.

    Those that a checkpoint or `init` brought stay: the rest of the head was learnt around them.
    """

    def fit_start(self, trainer: Trainer) -> None:
        # An average made before this callback's turn has parameters of its own.
        models = dict.fromkeys([trainer.model, trainer.eval_model])
        heads = dict.fromkeys(m for model in models for m in model.modules() if isinstance(m, MeshHead))
        if not heads:
            raise ValueError(
                f"callback.neutral_landmarks: {type(trainer.model).__name__} has no mesh head; leave the callback out, or "
                "choose backbone=mesh_head"
            )
        empty = [head for head in heads if not bool(head.landmarks.any())]
        if not empty:
            logger.info("neutral landmarks stay as they were")
            return
        found = self._first(trainer)
        for head in empty:
            if len(found) != len(head.landmarks):
                raise ValueError(
                    f"samples of {type(trainer.train_set).__name__} have {len(found)} landmarks, vertices behind them "
                    f"counted, and the model has {len(head.landmarks)}; set backbone.landmarks={len(found)}"
                )
            with torch.no_grad():
                head.landmarks.copy_(found)
        logger.info("%d neutral landmarks, from %s", len(found), trainer.train_set.name(0))

    def _first(self, trainer: Trainer) -> Float[Tensor, "l 3"]:
        landmarks: Tensor | None = getattr(trainer.train_set.seen(0).targets, "landmarks", None)
        if landmarks is None:
            raise ValueError(
                f"callback.neutral_landmarks: samples of {type(trainer.train_set).__name__} have no landmarks in 3D, around "
                "which a mesh head has its regions; choose a data set that has them, such as dataset=heads"
            )
        if not bool(landmarks.isfinite().all()):
            raise ValueError(
                f"landmarks of {trainer.train_set.name(0)} are not finite; expected canonical units: prepare the data anew"
            )
        return landmarks
