"""What was fitted: functions from predicted points to calibrated ones, one or a whole batch of them.

Leading axes ``*r`` are resamplings, each with its own fit; a calibration that is stored has none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.dots import Dots, Frames


class Correction:
    """A fitted function; cm in, cm out."""

    @property
    def width(self) -> int:
        """The number of features it reads."""
        return 0

    def apply(self, point: Tensor, features: Tensor | None = None) -> Tensor:
        """The calibrated points."""
        raise NotImplementedError

    def of(self, seen: Dots | Frames) -> Float[Tensor, "*r n 2"]:
        """The calibrated points of dots or frames, in each resampling."""
        return self.apply(seen.point.double(), seen.features)


@dataclass(frozen=True)
class Polynomial(Correction):
    """Adds a polynomial of the standardised prediction: constant, affine or quadratic, by its number of terms."""

    mean: Float[Tensor, "*r 2"]  # cm
    scale: Float[Tensor, "*r 2"]  # cm
    coefficients: Float[Tensor, "*r m 2"]  # cm, of 1, x, y, x^2, xy, y^2

    def apply(self, point: Float[Tensor, "... n 2"], features: Tensor | None = None) -> Float[Tensor, "... n 2"]:
        standard = (point - self.mean.unsqueeze(-2)) / self.scale.unsqueeze(-2)
        return point + terms(standard, self.coefficients.shape[-2]) @ self.coefficients


@dataclass(frozen=True)
class FeatureLinear(Correction):
    """Adds a linear function of the features."""

    weights: Float[Tensor, "*r f 2"]
    intercept: Float[Tensor, "*r 2"]

    @property
    def width(self) -> int:
        return self.weights.shape[-2]

    def apply(self, point: Float[Tensor, "... n 2"], features: Tensor | None = None) -> Float[Tensor, "... n 2"]:
        assert features is not None
        return point + (features @ self.weights + self.intercept.unsqueeze(-2))


@dataclass(frozen=True)
class Neighbours(Correction):
    """Adds the mean residual of the nearest dots, weighted by the inverse of their distance."""

    point: Float[Tensor, "k 2"]
    residual: Float[Tensor, "k 2"]
    weight: Float[Tensor, "*r k"]  # 0: not a dot of this resampling
    neighbours: int

    def apply(self, point: Float[Tensor, "... n 2"], features: Tensor | None = None) -> Float[Tensor, "... n 2"]:
        distance = (point.unsqueeze(-2) - self.point).norm(dim=-1)
        distance = torch.where(self.weight.unsqueeze(-2) > 0, distance, torch.inf)
        near, which = distance.topk(min(self.neighbours, len(self.point)), largest=False)
        share = 1 / (near + 1e-6)
        return point + (self.residual[which] * share.unsqueeze(-1)).sum(-2) / share.sum(-1, keepdim=True)


@dataclass(frozen=True)
class SupportVectors(Correction):
    """A radial basis function of the features, added to the prediction or instead of it."""

    support: Float[Tensor, "k f"]
    scale: Float[Tensor, "*r f"]  # of the features
    dual: Float[Tensor, "*r k 2"]
    bias: Float[Tensor, "*r 2"]
    absolute: bool

    @property
    def width(self) -> int:
        return self.support.shape[-1]

    def apply(self, point: Float[Tensor, "... n 2"], features: Tensor | None = None) -> Float[Tensor, "... n 2"]:
        assert features is not None
        found = radial(features, self.support, self.scale) @ self.dual + self.bias.unsqueeze(-2)
        return found + torch.zeros_like(point) if self.absolute else point + found


def terms(standard: Float[Tensor, "... k 2"], count: int) -> Float[Tensor, "... k m"]:
    """The first terms of 1, x, y, x^2, xy, y^2."""
    x, y = standard.unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y][:count], -1)


def radial(
    features: Float[Tensor, "... n f"], support: Float[Tensor, "k f"], scale: Float[Tensor, "*r f"]
) -> Float[Tensor, "..."]:
    """exp(-|a - b|^2 / f) of standardised features: scikit-learn's gamma="scale". Squares are multiplied out, so that no
    tensor has resamplings, frames and features at once."""
    inverse = scale.square().reciprocal()
    cross = features @ (support * inverse.unsqueeze(-2)).mT
    square = features.square() @ inverse.unsqueeze(-1) + (inverse @ support.square().mT).unsqueeze(-2) - 2 * cross
    return (-square.clamp(min=0) / support.shape[-1]).exp()


KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Polynomial, FeatureLinear, Neighbours, SupportVectors)}


def as_dict(correction: Any) -> dict[str, Any]:
    """Plain values, for JSON."""
    found = {f.name: getattr(correction, f.name) for f in fields(correction)}
    plain = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in found.items()}
    return {"kind": type(correction).__name__, **plain}


def from_dict(plain: dict[str, Any]) -> Any:
    """The correction that `as_dict` described.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    values = {
        name: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        for name, value in plain.items()
        if name != "kind"
    }
    return KINDS[plain["kind"]](**values)
