"""A linear layer behind the frozen model, trained for a few steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.corrections import Polynomial
from gaze.calibration.dots import Dots
from gaze.calibration.methods import balanced
from gaze.calibration.training import Training
from gaze.seeds import generator


@dataclass(frozen=True, kw_only=True)
class LinearProbe(Training):
    """A layer from two numbers to two, which begins as the identity and is trained by AdamW.

    Rate, epochs and batch are those that MobilePoG's authors calibrate with; the loss is the mean squared error. What
    differs: dots are fitted and not frames, weighted by their frames, and nothing decays, which would pull the
    identity to zero. All resamplings are trained at once: AdamW treats each number by itself.

    Args:
        all: see `Training`; a step takes dots.
    """

    lr: float = 0.05
    reads: ClassVar[str] = ""

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Polynomial:
        weight = balanced(weight)
        start = torch.zeros(*weight.shape[:-1], 3, 2, dtype=weight.dtype)  # of what is added to the prediction
        layer = start.clone().requires_grad_()
        optimizer = torch.optim.AdamW([layer], lr=self.lr, weight_decay=0.0)
        probe = Polynomial(start[..., 0, :], torch.ones_like(start[..., 0, :]), layer)
        most = int((weight > 0).sum(-1).max())
        for epoch in range(self.epochs):
            # Dots of weight 0 come last in every resampling.
            draw = torch.rand(len(dots), generator=generator(self.seed, epoch), dtype=weight.dtype)
            order = torch.where(weight > 0, draw, 2.0).argsort(-1)[..., :most]
            batches = -(-most // self.batch_size)
            for rows in (order[..., first::batches] for first in range(batches)):
                square = (probe.apply(dots.point) - dots.target).square().sum(-1)
                share = weight.gather(-1, rows)
                loss = (square.gather(-1, rows) * share).sum(-1) / share.sum(-1).clamp(min=1e-9)
                optimizer.zero_grad()
                loss.sum().backward()
                optimizer.step()
        return Polynomial(probe.mean, probe.scale, layer.detach())
