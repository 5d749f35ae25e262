"""Skulls and noses of synthetic heads as rays see them: skin, hair, brows and mouths, lit from the side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.synthesis.face_rays import ramp
from gaze.synthesis.head_anatomy import CENTRE_Y, CENTRE_Z, LIPS, MOUTH_WIDTH, MOUTH_Y, NOSE_Y, Anatomy
from gaze.synthesis.head_landmarks import BROW_WIDTH
from gaze.synthesis.head_rays import HeadRays, Point, meet

LIGHT = (0.303, 0.505, 0.808)  # towards the light, in the canonical frame: it turns with the head
AMBIENT, DIFFUSE = 0.45, 0.55
BROW_HEIGHT = 0.035  # half
BEHIND = -0.25  # hair grows where z is below
NAPE = -0.45  # and y above
LIP, INTERIOR = (0.9, 0.6, 0.6), (0.25, 0.08, 0.08)  # parts of the skin's colour; a colour


@dataclass(frozen=True)
class Surface:
    """What rays hit of the head, but for its eyes."""

    colour: Float[Tensor, "3 b p"]  # lit; of no meaning where nothing is hit
    hit: Bool[Tensor, "b p"]
    depth: Float[Tensor, "b p"]  # inf where nothing is hit
    nose: Bool[Tensor, "b p"]  # whether it is the nose


def see_surface(anatomy: Anatomy, rays: HeadRays) -> Surface:
    """Skull and nose. `anatomy` is float32."""
    axes = _columns(anatomy.axes)
    centre = _columns(anatomy.axes.new_tensor([[0, CENTRE_Y, CENTRE_Z]]))
    depth, hit = meet(rays.origin, rays.direction, centre, axes)
    point = rays.at(depth)
    colour = _painted(anatomy, rays, point)
    colour *= brightness(_normal(point, centre, axes))
    depth = torch.where(hit, depth, torch.inf)
    return _with_nose(anatomy, rays, colour, hit, depth)


def brightness(normal: Point) -> Float[Tensor, "*n"]:
    """How bright a surface is that faces this way."""
    x, y, z = normal
    cosine = x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]
    return cosine.clamp_min_(0).mul_(DIFFUSE).add_(AMBIENT)


def _painted(anatomy: Anatomy, rays: HeadRays, point: Point) -> Float[Tensor, "3 b p"]:
    """Colours of points of the skull."""
    x, y, z = point
    soft = rays.footprint
    skin, hair = (c.T[:, :, None] for c in (anatomy.skin, anatomy.hair))
    ahead = ramp(z - BEHIND, soft)
    bend = (x / MOUTH_WIDTH).square()
    height = y - MOUTH_Y - anatomy.smile[:, None] * bend
    lips = _within(bend, height, 1.0, LIPS + anatomy.opening[:, None], soft) * ahead
    inner = _within(bend, height, 0.8, anatomy.opening[:, None], soft) * ahead
    aside = x.abs()
    brow = ramp(BROW_HEIGHT - (y - anatomy.brow[:, None]).abs(), soft)
    brow *= ramp(BROW_WIDTH - (aside - anatomy.eye[:, :1]).abs(), soft) * ahead
    cap = ramp(y - anatomy.hairline[:, None] + 0.25 * aside, soft)
    back = (1 - ahead) * ramp(y - NAPE, soft)
    colour = torch.lerp(skin, skin * skin.new_tensor(LIP)[:, None, None], lips)
    colour = torch.lerp(colour, colour.new_tensor(INTERIOR)[:, None, None], inner)
    return torch.lerp(colour, hair, torch.maximum(torch.maximum(cap, back), brow))


def _within(bend: Tensor, height: Tensor, width: float, half: Tensor, soft: Tensor) -> Tensor:
    """How much of a ray's footprint lies in an ellipse of a mouth."""
    radius = (bend / width**2 + (height / half).square()).sqrt()
    return ramp((1 - radius) * half, soft)


def _with_nose(anatomy: Anatomy, rays: HeadRays, colour: Tensor, hit: Tensor, depth: Tensor) -> Surface:
    zero = torch.zeros_like(anatomy.nose_z)
    centre = _columns(torch.stack([zero, zero + NOSE_Y, anatomy.nose_z], -1))
    axes = _columns(anatomy.nose)
    near, met = meet(rays.origin, rays.direction, centre, axes)
    nose = met & (near < depth)
    sample, ray = nose.nonzero(as_tuple=True)
    near = near[nose]
    x, y, z = (o[sample, 0] + near * d[nose] for o, d in zip(rays.origin, rays.direction, strict=True))
    own = tuple(c[sample, 0] for c in centre), tuple(a[sample, 0] for a in axes)
    light = brightness(_normal((x, y, z), *own))  # type: ignore[arg-type]
    colour[:, sample, ray] = anatomy.skin.T[:, sample] * light
    depth[nose] = near
    return Surface(colour, hit | nose, depth, nose)


def _normal(point: Point, centre: Point, axes: Point) -> Point:
    x, y, z = ((p - c) / (a * a) for p, c, a in zip(point, centre, axes, strict=True))
    length = (x * x + y * y + z * z).rsqrt()
    return x * length, y * length, z * length


def _columns(points: Float[Tensor, "b 3"]) -> Point:
    """Coordinates [b 1] that broadcast with planes."""
    x, y, z = points[..., None].unbind(1)
    return x, y, z
