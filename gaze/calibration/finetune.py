"""Trains a model, or a part of it, on the frames of somebody's dots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.adapted import adapted, frame_weights, looks_of
from gaze.calibration.corrections import Correction
from gaze.calibration.dots import CalibrationError, Dots
from gaze.calibration.training import Training
from gaze.losses.point import PointLoss
from gaze.optimizers import matches, modules
from gaze.seeds import generator


@dataclass(frozen=True, kw_only=True)
class FineTune(Training):
    """A few epochs of AdamW on the frames of the dots, from the run's weights on.

    The model stays in eval mode: a few frames are no statistics for a batch norm, and nothing is dropped. Nothing
    decays: what few steps leave alone is to stay what the run made it.

    Args:
        parameters: glob over names of parameters, or the name of a module. Of the output head alone, the trunks run
            once and not at each step.
        loss: of each frame.
        lr: the reference has 1e-4 for the head and 1e-5 for all of a model of somebody who holds still, five times
            that of somebody who moves.
        others: see `Training`; a step takes frames.
    """

    parameters: str
    loss: PointLoss
    reads: ClassVar[str] = "looks"

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Correction:
        return adapted(self, dots, weight)

    def trained(self, dots: Dots, weight: Float[Tensor, "k"]) -> dict[str, Tensor]:
        looks, target = looks_of(dots), dots.target[dots.look_dot].float()
        tensors = {
            name: value.detach().clone().requires_grad_()
            for name, value in looks.model.named_parameters()
            if matches(name, self.parameters)
        }
        if not tensors:
            raise CalibrationError(
                f"{self.parameters!r} matches no parameter of the model; modules: {', '.join(modules(looks.model))}"
            )
        optimizer = torch.optim.AdamW(tensors.values(), lr=self.lr, weight_decay=0.0)
        of_frame = frame_weights(dots, weight).float()
        used = (of_frame > 0).nonzero()[:, 0]
        for epoch in range(self.epochs):
            order = used[torch.randperm(len(used), generator=generator(self.seed, epoch))]
            for rows in order.split(self.batch_size):
                prediction = looks.at(rows).said(tensors)
                place = prediction.point.device
                loss = self.loss.per_sample(prediction, target[rows].to(place))
                share = of_frame[rows].to(place)
                optimizer.zero_grad()
                ((loss * share).sum() / share.sum()).backward()
                optimizer.step()
        before = dict(looks.model.named_parameters())
        return {name: value.detach() for name, value in tensors.items() if not torch.equal(value, before[name])}
