"""What every drawable shape offers the canvas: where it is in the image, and its colour and coverage there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

P = TypeVar("P", bound="Primitive")


@dataclass(frozen=True)
class Primitive:
    """Some shapes of one kind, each in the scene it belongs to.

    Pixel work uses additions, products, quotients, roots and comparisons only. IEEE 754 fixes their
    results, so that a picture doesn't depend on how shapes were batched or on vector units.
    """

    scene: Int64[Tensor, "m"]  # row of the batch
    depth: Float64[Tensor, "m"]  # z that decides who covers whom; further ones are drawn first
    layer: Int64[Tensor, "m"]  # order among shapes of equal depth, as those of one person

    def bounds(self) -> Float64[Tensor, "m 4"]:
        """Boxes (x0, y0, x1, y1) in px that hold all of each shape, soft edges included."""
        raise NotImplementedError

    def shade(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
        """Colour (0 to 255) times coverage, and 1 minus coverage, at pixel centres given in px."""
        raise NotImplementedError

    def take(self: P, index: Int64[Tensor, "j"]) -> P:
        """The shapes with these numbers."""
        new: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Primitive):
                new[f.name] = value.take(index)
            elif isinstance(value, Tensor):
                new[f.name] = value[index]
        return replace(self, **new)

    def signature(self) -> tuple[object, ...]:
        """Equal for shapes that can be put into one batch."""
        values = [getattr(self, f.name) for f in fields(self)]
        parts = [v.shape[1:] if isinstance(v, Tensor) else v and v.signature() for v in values]
        return type(self), *parts

    def beside(self: P, others: Sequence[P]) -> P:
        """These shapes and then the others, all of one signature."""
        new: dict[str, Any] = {}
        for f in fields(self):
            values = [getattr(shape, f.name) for shape in (self, *others)]
            if isinstance(values[0], Primitive):
                new[f.name] = values[0].beside(values[1:])
            elif isinstance(values[0], Tensor):
                new[f.name] = torch.cat(values)
        return replace(self, **new)


def merge(shapes: Sequence[Primitive]) -> list[Primitive]:
    """The same shapes in as few batches as there are signatures."""
    groups: dict[tuple[object, ...], list[Primitive]] = {}
    for shape in shapes:
        groups.setdefault(shape.signature(), []).append(shape)
    return [group[0].beside(group[1:]) for group in groups.values()]


def plane(*constants: Float64[Tensor, "m"]) -> tuple[Float32[Tensor, "m 1 1"], ...]:
    """Numbers per shape, ready to meet pixels."""
    return tuple(c[:, None, None].float() for c in constants)


def coverage(distance: Float32[Tensor, "m h w"]) -> Float32[Tensor, "m h w"]:
    """How much of a pixel lies inside an edge at this signed distance in px: a ramp one pixel wide."""
    return (distance + 0.5).clamp_(0.0, 1.0)


def uniform(color: Float64[Tensor, "m 3"]) -> Float32[Tensor, "m 3 1 1"]:
    """A colour that every pixel of a shape has."""
    return color.float()[:, :, None, None]


def over(
    color: Float32[Tensor, "m 3 #h #w"], paint: Float64[Tensor, "m 3"], amount: Float32[Tensor, "m h w"]
) -> Float32[Tensor, "m 3 h w"]:
    """The colour with some paint on it; the paint is RGB in [0, 1]."""
    return (amount[:, None] * (uniform(paint) - color)).add_(color)


def finish(
    color: Float32[Tensor, "m 3 #h #w"], light: Float32[Tensor, "m #h #w"] | float, alpha: Float32[Tensor, "m h w"]
) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
    """What `shade` returns, from a colour in [0, 1], the light on it and its coverage."""
    return color * (alpha * 255.0 * light)[:, None], 1.0 - alpha[:, None]
