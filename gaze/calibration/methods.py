"""Ways to fit a correction to dots. All fit any number of resamplings of the dots at once, by weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.corrections import (
    Correction,
    FeatureLinear,
    Neighbours,
    Polynomial,
    SupportVectors,
    radial,
    terms,
)
from gaze.calibration.dots import CalibrationError, Dots
from gaze.calibration.support import support_vector_regression


@runtime_checkable
class Method(Protocol):
    """A way to fit."""

    @property
    def needs(self) -> int:
        """The fewest dots it can be fitted to."""

    @property
    def offered(self) -> int | None:
        """The number of dots from which on it is among those that are chosen from; None: only by name."""

    @property
    def folds(self) -> int | None:
        """Into how many parts dots are divided to be left out; None: each is left out by itself."""

    @property
    def reads(self) -> str:
        """The attribute of `Dots` that it needs beside predictions; "" if it needs none."""

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Correction:
        """The correction of each resampling; a dot of weight 0 has no influence on it."""


@dataclass(frozen=True)
class PolynomialFit:
    """Least squares on the residual, weighted by frames, with a penalty on each coefficient.

    Predictions are standardised over the dots, and weights sum to their number K. A penalty k0 on the constant makes
    it K / (K + k0) times the mean residual.
    """

    penalties: Sequence[float]
    needs: int = 1
    offered: int | None = None
    folds: int | None = None
    reads: ClassVar[str] = ""

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Polynomial:
        weight = balanced(weight)
        mean, scale = _moments(dots.point, weight)
        design = terms((dots.point - mean.unsqueeze(-2)) / scale.unsqueeze(-2), len(self.penalties))
        weighted = (design * weight.unsqueeze(-1)).mT
        normal = weighted @ design + torch.tensor(list(self.penalties), dtype=weight.dtype).diag()
        # The pseudo-inverse gives the least of all solutions where dots do not tell them apart.
        inverse = torch.linalg.pinv(normal, hermitian=True, rtol=1e-10)
        return Polynomial(mean, scale, inverse @ (weighted @ dots.residual))


@dataclass(frozen=True)
class FeatureRidge:
    """Ridge regression of the residual on standardised features; the constant is free."""

    alpha: float
    needs: int = 3
    offered: int | None = None
    folds: int | None = None
    reads: ClassVar[str] = "features"

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> FeatureLinear:
        assert dots.features is not None
        weight = balanced(weight)
        mean, scale = _feature_moments(dots.features, weight)
        middle = _average(dots.residual, weight)
        root = weight.sqrt().unsqueeze(-1)
        design = root * (dots.features - mean.unsqueeze(-2)) / scale.unsqueeze(-2)
        # The dual form: there are more features than dots.
        gram = design @ design.mT + self.alpha * torch.eye(len(dots), dtype=weight.dtype)
        dual = torch.linalg.solve(gram, root * (dots.residual - middle.unsqueeze(-2)))
        weights = (design.mT @ dual) / scale.unsqueeze(-1)
        return FeatureLinear(weights, middle - (mean.unsqueeze(-2) @ weights).squeeze(-2))


@dataclass(frozen=True)
class NearestDots:
    """The residual of the nearest dots; of the nearest alone, one offset per dot."""

    neighbours: int
    needs: int = 1
    offered: int | None = None
    folds: int | None = None
    reads: ClassVar[str] = ""

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> Neighbours:
        return Neighbours(dots.point, dots.residual, weight, self.neighbours)


@dataclass(frozen=True)
class SupportVectorFit:
    """Support vector regression for each axis on standardised features (Krafka et al., 2016, on the 13 dots of a person).

    C and epsilon are MobilePoG's. `absolute` is the published form, which gives the point itself; otherwise it
    gives the residual. Unlike there, dots and not frames are fitted: frames of one dot differ by noise only.
    """

    absolute: bool = False
    cost: float = 1.0
    epsilon_cm: float = 0.2
    needs: int = 3
    offered: int | None = None
    folds: int | None = None
    reads: ClassVar[str] = "features"

    def fit(self, dots: Dots, weight: Float[Tensor, "*r k"]) -> SupportVectors:
        assert dots.features is not None
        weight = balanced(weight)
        _, scale = _feature_moments(dots.features, weight)
        target = dots.target if self.absolute else dots.residual
        middle = _average(target, weight)
        dual, bias = support_vector_regression(
            radial(dots.features, dots.features, scale),
            target - middle.unsqueeze(-2),
            self.cost * weight,
            self.epsilon_cm,
        )
        return SupportVectors(dots.features, scale, dual, bias + middle, self.absolute)


LEAST_SPREAD = 0.3  # of a feature, as a part of the root mean square of all features' spreads

READS = {
    "features": "reads the model's features, which a table of predictions lacks; give run=...",
    "looks": "changes the output head of a model, and there is no model with one; give the run=... of a pog_ model",
}


def method_named(name: str, methods: Mapping[str, Method], dots: Dots) -> Method:
    """A method that these dots suffice for.

    Raises:
        CalibrationError: there is no such method, or the dots are too few, all in one place or without what it reads.
    """
    if name not in methods:
        raise CalibrationError(f"there is no calibration method {name!r}; choose one of {', '.join(methods)}")
    method = methods[name]
    if len(dots) < method.needs:
        raise CalibrationError(
            f"{name} needs at least {method.needs} dots and there {_are(len(dots))}; show more, or choose offset_shrunk"
        )
    if method.needs > 1 and in_one_place(dots):
        x, y = dots.target[0].tolist()
        raise CalibrationError(
            f"all {len(dots)} dots are at ({x:.2f}, {y:.2f}) cm, and {name} needs dots in different places; "
            f"spread them over the screen, or choose offset_shrunk"
        )
    if lacks(method, dots):
        raise CalibrationError(f"{name} {READS[method.reads]}")
    return method


def lacks(method: Method, dots: Dots) -> bool:
    """Does it need more than is known of the dots?"""
    return bool(method.reads) and getattr(dots, method.reads) is None


def in_one_place(dots: Dots) -> bool:
    """Were all dots, to a tenth of a millimetre, in the same place?"""
    return bool((dots.target.amax(0) - dots.target.amin(0)).max() < 0.01)


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def balanced(weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r k"]:
    """The same weights with the number of dots as their sum."""
    return weight * ((weight > 0).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True))


def _average(value: Float[Tensor, "k c"], weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r c"]:
    return (weight @ value) / weight.sum(-1, keepdim=True)


def _moments(
    value: Float[Tensor, "k c"], weight: Float[Tensor, "*r k"]
) -> tuple[Float[Tensor, "*r c"], Float[Tensor, "*r c"]]:
    """Mean and standard deviation; what does not vary has the deviation 1."""
    mean = _average(value, weight)
    square = _average((value - value.mean(0)).square(), weight) - (mean - value.mean(0)).square()
    deviation = square.clamp(min=0).sqrt()
    return mean, torch.where(deviation > 1e-6, deviation, 1.0)


def _feature_moments(
    value: Float[Tensor, "k c"], weight: Float[Tensor, "*r k"]
) -> tuple[Float[Tensor, "*r c"], Float[Tensor, "*r c"]]:
    """Mean and deviation; no deviation is below a part of what is usual.

    A feature that is nearly still on a few dots says nothing there, but divided by that little it would shout on the
    first frame that moves it.
    """
    mean, deviation = _moments(value, weight)
    usual = torch.where(deviation == 1.0, 0.0, deviation).square().mean(-1, keepdim=True).sqrt()
    return mean, torch.maximum(torch.where((deviation == 1.0) & (usual > 0), 0.0, deviation), LEAST_SPREAD * usual)
