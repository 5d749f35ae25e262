"""Gives a model of gaze directions the linear map that fits its first features best, before the first step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gaze.callbacks.callback import Callback
from gaze.clip.frozen import Seen
from gaze.datasets.direction_labels import DirectionLabels
from gaze.directions.baselines import embeddings, evenly, ridge_of
from gaze.sharding import laid_out_like
from gaze.types import DirectionInputs

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)

SETTLING = 1000  # faces that new batch norms take their first statistics from


class RidgeStart(Callback):
    """Sets the linear layer `output.direction` to the ridge regression of directions on what it reads.

    Its penalty is the one of the smallest angle in validation. Samples are taken as they are before they are augmented,
    and features as the model makes them in eval mode; batch norms that have never seen anything get their statistics
    first. Only at the start of a run: an interrupted one goes on with what it has learnt.

    Args:
        samples: most faces of either split, evenly taken.
    """

    def __init__(self, samples: int = 20_000) -> None:
        if samples < 2:
            raise ValueError(f"callback.ridge_start.samples is {samples}; expected 2 or more")
        self.samples = samples

    def fit_start(self, trainer: Trainer) -> None:
        layer = _layer(trainer.model)
        _check(trainer)
        if trainer.progress.step:
            return
        batch = trainer.plan.batch_size
        settle(trainer, batch)
        reader = Reader(trainer.model)
        found = ridge_of(reader, trainer.train_set, trainer.val_set, trainer.hardware, batch, self.samples)
        weight, bias = found.weights.T, found.gaze - found.features @ found.weights
        if trainer.hardware.replicas > 1:  # each has computed the same, but for rounding
            both = torch.cat([weight, bias[:, None]], 1).to(trainer.hardware.device)
            weight, bias = (trainer.hardware.total(both) / trainer.hardware.replicas).split([weight.shape[1], 1], 1)
        # An average made before this callback's turn has weights of its own.
        for model in dict.fromkeys([trainer.model, trainer.eval_model]):
            layer = _layer(model)
            with torch.no_grad():
                layer.weight.copy_(laid_out_like(weight, layer.weight))
                layer.bias.copy_(laid_out_like(bias.flatten(), layer.bias))
        logger.info(
            "the head starts from ridge regression on %d features, with a penalty of %.3g",
            *(layer.in_features, found.penalty),
        )


class Reader(nn.Module):
    """What the head of a model reads, in the place of a tower's embedding.

    Args:
        model: of directions.
        training: parts that are in training mode all the same.
    """

    def __init__(self, model: nn.Module, training: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.model, self.busy = model, list(training)

    def forward(self, face: Float[Tensor, "b 3 H W"]) -> Seen:
        for module in self.busy:
            module.train()
        return Seen(self.model(DirectionInputs(face)).features, None)


def settle(trainer: Trainer, batch_size: int) -> None:
    """Give batch norms that have never seen anything the mean statistics of some faces.

    In training they go by those of the batch: what is fitted to their first, made-up ones would not hold there.
    """
    norms = [module for module in trainer.model.modules() if isinstance(module, _BatchNorm)]
    fresh = [m for m in norms if m.num_batches_tracked is not None and not m.num_batches_tracked.any()]
    fresh = [m for m in fresh if any(p.requires_grad for p in m.parameters())]
    if not fresh:
        return
    before = [m.momentum for m in fresh]
    for module in fresh:
        module.momentum = None  # the mean over all batches
    rows = evenly(len(trainer.train_set), SETTLING).tolist()
    embeddings(Reader(trainer.model, fresh), trainer.train_set, rows, trainer.hardware, batch_size)
    for module, momentum in zip(fresh, before, strict=True):
        module.momentum = momentum
    # An average made before this callback's turn has statistics of its own.
    for copied, own in zip(trainer.eval_model.modules(), trainer.model.modules(), strict=True):
        if own in fresh and copied is not own:
            copied.load_state_dict(own.state_dict())


def _layer(model: nn.Module) -> nn.Linear:
    layer = getattr(getattr(model, "output", None), "direction", None)
    if not isinstance(layer, nn.Linear) or layer.out_features != 3:
        raise ValueError(
            f"callback.ridge_start: {type(model).__name__} has no linear layer output.direction that gives a vector; choose "
            "head=direction_vmf or head=direction_plain, or leave the callback out"
        )
    return layer


def _check(trainer: Trainer) -> None:
    for data in (trainer.train_set, trainer.val_set):
        if not isinstance(getattr(data, "labels", None), DirectionLabels):
            raise ValueError(
                f"callback.ridge_start: {type(data).__name__} has no `labels` with the directions of all samples; choose a "
                "data set of faces, or leave the callback out"
            )
