"""What the codes of a synthetic head mean: its shape, its colours and what its face does.

Lengths are in the canonical frame of `gaze.head_frames`, about a decimetre; colours are RGB in [0, 1]. The first 15
numbers of an identity code and the first four of an expression code decide everything: same codes, same head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.types import Record

IDENTITY, EXPRESSION = 80, 64  # widths of the codes, as 3D morphable models have them
PERSONAL, MOVING = 16, 4  # how many numbers of each are drawn; the others are zero or noise
CENTRE_Y, CENTRE_Z = 0.05, -0.35  # of the skull's ellipsoid
NOSE_Y = -0.10  # of the nose's ellipsoid
NOSE_HEIGHT = 0.20
MOUTH_Y, MOUTH_WIDTH = -0.52, 0.26  # half the width
LIPS = 0.05  # half the height of a closed mouth
STYLE = 1.5  # how much larger than in life eyes are drawn for which the lengths below are given


@dataclass(frozen=True)
class Anatomy(Record):
    """Heads in their canonical frames."""

    axes: Float[Tensor, "*b 3"]  # half axes of the skull
    eye: Float[Tensor, "*b 3"]  # centre of the eyeball at +x; the other one is its mirror image
    eye_radius: Float[Tensor, "*b"]
    lid: Float[Tensor, "*b"]  # half of the opening between the lids
    nose: Float[Tensor, "*b 3"]  # half axes
    nose_z: Float[Tensor, "*b"]
    brow: Float[Tensor, "*b"]  # height of the middle of the brows
    hairline: Float[Tensor, "*b"]  # height in the middle
    smile: Float[Tensor, "*b"]  # how much the corners of the mouth are higher than its middle
    opening: Float[Tensor, "*b"]  # half the height of the open mouth
    skin: Float[Tensor, "*b 3"]
    hair: Float[Tensor, "*b 3"]
    iris: Float[Tensor, "*b 3"]


def anatomy_of(
    identity: Float[Tensor, "*b 80"], expression: Float[Tensor, "*b 64"], eye_scale: float = STYLE
) -> Anatomy:
    """The heads that codes stand for.

    Args:
        identity, expression: codes.
        eye_scale: how much larger than in life eyes are, so that small pictures show where they look.
    """
    z, e = identity.unbind(-1), expression.unbind(-1)
    part = eye_scale / STYLE
    axes = torch.stack([0.78 + 0.05 * z[0], 1.05 + 0.05 * z[1], 0.90 + 0.04 * z[2]], -1)
    eye_x, eye_y = 0.34 + 0.02 * z[4], 0.17 + 0.02 * z[5]
    nose = torch.stack([0.10 + 0.01 * z[13], torch.full_like(z[13], NOSE_HEIGHT), 0.18 + 0.02 * z[14]], -1)
    skin = _colour(z[6], (0.80, 0.62, 0.52), (0.06, 0.05, 0.05)) + _colour(z[7], (0, 0, 0), (0, 0.03, 0.04))
    iris = [0.22 + 0.10 * z[9], 0.30 + 0.10 * z[10], 0.32 + 0.12 * z[11]]
    return Anatomy(
        axes=axes,
        eye=torch.stack([eye_x, eye_y, front(axes, eye_x, eye_y) - 0.13 * part], -1),
        eye_radius=part * (0.19 + 0.008 * z[3]),
        lid=part * (0.11 + 0.035 * e[2]),
        nose=nose,
        nose_z=front(axes, torch.zeros_like(eye_x), torch.full_like(eye_x, NOSE_Y)) - 0.02,
        brow=eye_y + 0.26 + 0.03 * e[1],
        hairline=0.62 + 0.06 * z[12],
        smile=0.05 * e[3],
        opening=0.02 + 0.05 * (e[0] + 1) / 2,
        skin=skin.clamp(0, 1),
        hair=_colour(1 + 0.5 * z[8], (0, 0, 0), (0.25, 0.17, 0.11)).clamp(0.02, 1),
        iris=torch.stack(iris, -1).clamp(0.05, 0.7),
    )


def front(axes: Float[Tensor, "*#b 3"], x: Float[Tensor, "*#b"], y: Float[Tensor, "*#b"]) -> Float[Tensor, "*b"]:
    """z of the front of the skull; that of its outline where there is none."""
    inside = 1 - (x / axes[..., 0]).square() - ((y - CENTRE_Y) / axes[..., 1]).square()
    return CENTRE_Z + axes[..., 2] * inside.clamp_min(0).sqrt()


def _colour(amount: Tensor, base: tuple[float, float, float], step: tuple[float, float, float]) -> Tensor:
    return torch.stack([b + s * amount for b, s in zip(base, step, strict=True)], -1)
