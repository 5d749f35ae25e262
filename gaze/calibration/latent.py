"""Finds the few numbers by which a model that learnt some for each training person knows somebody new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.adapted import adapted, frame_weights, looks_of
from gaze.calibration.corrections import Correction
from gaze.calibration.dots import CalibrationError, Dots
from gaze.heads.personal import Personal

NAME = "output.unknown"


@dataclass(frozen=True)
class Latent:
    """The most likely numbers of a person, all else frozen (after SPAZE, Linden et al., ICCV Workshops 2019).

    Unlike there, they have a prior: the mean and the spread of the training persons' own numbers. Six numbers
    of one dot would otherwise explain its noise.

    Args:
        noise_cm: how far predictions are off, by axis, for other reasons than the person.
        steps: of L-BFGS, at most.
        needs: the fewest dots.
        offered: dots from which on it is among those that are chosen from; None: only by name.
        folds: into how many parts dots are divided to be left out; None: each is left out by itself.
    """

    noise_cm: float = 1.0
    steps: int = 20
    needs: int = 1
    offered: int | None = None
    folds: int | None = None
    reads: ClassVar[str] = "looks"

    def __post_init__(self) -> None:
        if self.noise_cm <= 0 or self.steps < 1:
            raise ValueError(f"noise_cm {self.noise_cm}, steps {self.steps}; expected both above 0")

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Correction:
        return adapted(self, dots, weight)

    def trained(self, dots: Dots, weight: Float[Tensor, "k"]) -> dict[str, Tensor]:
        looks, target = looks_of(dots), dots.target[dots.look_dot].float()
        mean, spread = self._prior(looks.model.output)
        of_frame = frame_weights(dots, weight).float()
        rows = (of_frame > 0).nonzero()[:, 0]
        # Frames of one dot are wrong together: what counts is the number of dots.
        share = of_frame[rows] * (weight > 0).sum() / of_frame[rows].sum()
        some, wanted = looks.at(rows), target[rows]
        offset = torch.zeros_like(mean, requires_grad=True)  # in spreads from the mean, which makes the prior round
        optimizer = torch.optim.LBFGS([offset], max_iter=self.steps, line_search_fn="strong_wolfe")

        def cost() -> Tensor:
            optimizer.zero_grad()
            point = some.said({NAME: mean + spread * offset}).point
            off = (point - wanted.to(point.device)).square().sum(-1) / self.noise_cm**2
            total: Tensor = ((share.to(point.device) * off).sum() + offset.square().sum()) / 2
            total.backward()
            return total

        optimizer.step(cost)  # type: ignore[arg-type]
        return {NAME: mean + spread * offset.detach()}

    @staticmethod
    def _prior(head: object) -> tuple[Float[Tensor, "s"], Float[Tensor, "s"]]:
        if not isinstance(head, Personal):
            raise CalibrationError(
                f"latent needs a model with numbers for each person and this one's output is {type(head).__name__}; "
                f"train it with experiment=pog_latent, or choose another method"
            )
        numbers = head.latent.weight.detach()
        numbers = numbers[(numbers != 0).any(1)]  # rows of nobody stay exactly zero
        if len(numbers) < 2:
            raise CalibrationError(
                f"latent learns from the numbers of training persons and the run has those of {len(numbers)}; "
                f"train it with person among dataset.streams"
            )
        return numbers.mean(0), numbers.std(0).clamp(min=1e-4)
