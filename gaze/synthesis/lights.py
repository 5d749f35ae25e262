"""The light of a scene, as shapes see it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Float64, Int64
from torch import Tensor

from gaze.synthesis.scenes import Room


@dataclass(frozen=True)
class Light:
    """Direction and strength of the light at each shape."""

    toward: Float64[Tensor, "m 3"]  # unit vector in the camera frame
    ambient: Float64[Tensor, "m"]  # brightness of what faces away, 0 to 1


def light_of(room: Room, scene: Int64[Tensor, "m"]) -> Light:
    """The light in each named scene."""
    return Light(room.light[scene], room.ambient[scene])


def brightness(cosine: Float[Tensor, "*#m"], ambient: Float[Tensor, "*#m"]) -> Float[Tensor, "*m"]:
    """How bright a surface is whose normal has this cosine with the light.

    Wrapped Lambert, squared: soft across the terminator, so that round things look round from every side.
    """
    half = cosine + 1.0
    return (half * half).mul_((1.12 - ambient) * 0.25).add_(ambient)
