"""Eyeballs of synthetic heads as rays see them: sclera, iris and pupil between lids."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.synthesis.face_rays import ramp
from gaze.synthesis.head_anatomy import Anatomy
from gaze.synthesis.head_landmarks import EYE_WIDTH, lid_height
from gaze.synthesis.head_rays import HeadRays, meet
from gaze.synthesis.head_skin import Surface, brightness

PUPIL_RAD, IRIS_RAD = math.radians(12), math.radians(30)  # about the gaze, from the eyeball's centre
PUPIL, SCLERA = (0.03, 0.03, 0.03), (0.95, 0.95, 0.93)
SHADING = 0.5  # how much of the light's changes eyes show
LEAST_Z = 0.2  # eyeball radii; what lies further back is behind the lids
DEEPEST = 0.1  # how far behind the skull's surface an eyeball can be seen


@dataclass(frozen=True)
class EyeSight:
    """The rays that end at an eyeball."""

    sample: Int[Tensor, "n"]
    ray: Int[Tensor, "n"]
    colour: Float[Tensor, "3 n"]  # lit


def see_eye(anatomy: Anatomy, gaze: Float[Tensor, "b 3"], rays: HeadRays, surface: Surface, side: int) -> EyeSight:
    """One eye of each head.

    Args:
        anatomy: float32.
        gaze: unit vectors in the canonical frame.
        surface: what else the rays meet.
        side: 1 for the eye at +x, -1 for the other one.
    """
    centre = anatomy.eye * anatomy.eye.new_tensor([side, 1, 1])
    cx, cy, cz = centre[..., None].unbind(1)
    radius = anatomy.eye_radius[:, None]
    depth, met = meet(rays.origin, rays.direction, (cx, cy, cz), (radius, radius, radius))
    sample, ray = met.nonzero(as_tuple=True)
    depth, behind, nose = depth[met], surface.depth[met], surface.nose[met]
    radius = radius[sample, 0]
    dx, dy, dz = (d[met] for d in rays.direction)
    x, y, z = (
        (o[sample, 0] + depth * d - c[sample, 0]) / radius
        for o, d, c in zip(rays.origin, (dx, dy, dz), (cx, cy, cz), strict=True)
    )
    one = torch.ones_like(radius)
    open_ = y.abs() < lid_height(anatomy.lid[sample] / radius, one, x)
    reach = torch.where(nose, 0.0, DEEPEST) * (dx * dx + dy * dy + dz * dz).rsqrt()
    seen = open_ & (x.abs() < EYE_WIDTH) & (z > LEAST_Z) & (depth - behind <= reach)
    sample, ray, x, y, z = (v[seen] for v in (sample, ray, x, y, z))
    soft = (rays.footprint / anatomy.eye_radius[:, None])[sample, 0]
    return EyeSight(sample, ray, _texture(anatomy, gaze, sample, (x, y, z), soft))


def _texture(
    anatomy: Anatomy, gaze: Tensor, sample: Tensor, normal: tuple[Tensor, Tensor, Tensor], soft: Tensor
) -> Float[Tensor, "3 n"]:
    x, y, z = normal
    gx, gy, gz = gaze[sample].unbind(-1)
    chord = ((x - gx).square() + (y - gy).square() + (z - gz).square()).sqrt()
    angle = 2 * (chord / 2).clamp_max(1).asin()
    colour = torch.lerp(chord.new_tensor(SCLERA)[:, None], anatomy.iris.T[:, sample], ramp(IRIS_RAD - angle, soft))
    colour = torch.lerp(colour, chord.new_tensor(PUPIL)[:, None], ramp(PUPIL_RAD - angle, soft))
    return colour * (1 - SHADING * (1 - brightness((x, y, z))))
