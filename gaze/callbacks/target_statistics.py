"""Gives a model the mean and spread of the points it is to learn, before the first step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.callbacks.callback import Callback
from gaze.heads.point import Standard

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class TargetStatistics(Callback):
    """Sets every `Standard` of the model from the training split's points.

    Those that a checkpoint or `init` has filled stay: what was learnt is relative to them. Without this callback
    points are learnt in plain centimetres.

    Args:
        least_cm: spreads below this are an axis that does not vary; its unit stays a centimetre.
    """

    def __init__(self, least_cm: float = 0.01) -> None:
        self.least_cm = least_cm

    def fit_start(self, trainer: Trainer) -> None:
        mean, unit = self.statistics(trainer)
        # An average made before this callback's turn has buffers of its own.
        models = dict.fromkeys([trainer.model, trainer.eval_model])
        standards = [(model, module) for model in models for module in _standards(model)]
        if not standards:
            raise ValueError(
                f"callback.target_statistics: {type(trainer.model).__name__} has no part that standardises points; "
                "leave the callback out, or choose a head such as point_cm"
            )
        for model, standard in standards:
            if standard.known:
                if model is trainer.model:
                    logger.info("points stay standardised as they were: %s", standard)
                continue
            standard.set(mean, unit)
            if model is trainer.model:
                logger.info("points are standardised: %s", standard)

    def statistics(self, trainer: Trainer) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
        """Mean and spread of the training split's points, cm.

        Raises:
            ValueError: the data set lists no points, or some are not finite.
        """
        labels = getattr(trainer.train_set, "labels", None)
        if labels is None:
            raise ValueError(
                f"callback.target_statistics: {type(trainer.train_set).__name__} has no `labels` with the points of all "
                "samples; choose a data set of screens, or leave the callback out"
            )
        point = labels.point.double()
        broken = (~point.isfinite().all(-1)).nonzero().flatten()
        if len(broken):
            row = int(broken[0])
            raise ValueError(
                f"{len(broken)} of {len(point)} training points are not finite, first {trainer.train_set.name(row)} with "
                f"{point[row].tolist()}; expected centimetres: prepare the data set again"
            )
        mean, spread = point.mean(0), point.std(0, correction=0)
        return mean.float(), torch.where(spread < self.least_cm, 1.0, spread).float()


def _standards(model: nn.Module) -> list[Standard]:
    return [module for module in model.modules() if isinstance(module, Standard)]
