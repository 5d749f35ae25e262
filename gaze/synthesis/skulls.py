"""Heads as rays see them: an ellipsoid of skin with hair, brows, a nose and a mouth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.eyelids import LID_PLANE
from gaze.synthesis.face_rays import Rays, ramp
from gaze.synthesis.faces import Faces

CENTRE_Y, CENTRE_Z = 2.0, 0.93  # of the ellipsoid: cm below the eyes, half depths behind them
HAIRLINE = -5.7  # cm below the eyes, in the middle
NOSE_TOP, NOSE_END = 0.2, 5.2
LIPS = torch.tensor([0.86, 0.56, 0.56])  # colour of lips, parts of the skin's


@dataclass(frozen=True)
class Skull:
    """What rays hit, but for the eyes."""

    colour: Float[Tensor, "b 3 p"]  # before the light
    shade: Float[Tensor, "b p"]  # how bright the light is
    cover: Float[Tensor, "b p"]  # part of the pixel that the head covers
    hair: Float[Tensor, "b p"]
    depth: Float[Tensor, "b p"]  # cm


def see_skull(faces: Faces, rays: Rays, toward: Float[Tensor, "b 3"]) -> Skull:
    """The head without its eyes.

    Args:
        toward: direction of the light in the head's frame.
    """
    person = faces.subject
    ox, oy, oz = rays.origin
    dx, dy, dz = rays.direction
    ax, ay, az = person.head_axes[:, :, None].unbind(1)
    # In the frame where the head is a unit sphere.
    px, py, pz = ox / ax, (oy - CENTRE_Y) / ay, (oz - CENTRE_Z * az) / az
    ex, ey, ez = dx / ax, dy / ay, dz / az
    squared = ex * ex + ey * ey + ez * ez
    along = px * ex + py * ey + pz * ez
    inside = 1 - (px * px + py * py + pz * pz) + along * along / squared  # 1 - squared distance from the centre
    cover = ramp(inside * (0.5 * ax), 1.5 * rays.footprint)
    depth = (-along - (inside.clamp_min(0) * squared).sqrt()) / squared
    x, y = ox + depth * dx, oy + depth * dy
    nx, ny, nz = (px + depth * ex) / ax, (py + depth * ey) / ay, (pz + depth * ez) / az
    length = (nx * nx + ny * ny + nz * nz).rsqrt()
    ridge, slope_x, slope_y = _nose(faces, x, y, dx / dz)
    bump_x, bump_y = nx * length - slope_x, ny * length - slope_y
    bumped = (bump_x * bump_x + bump_y * bump_y + (nz * length).square()).rsqrt()
    lx, ly, lz = toward[:, :, None].unbind(1)
    cosine = (bump_x * lx + bump_y * ly + nz * length * lz) * bumped
    shade = faces.light.ambient[:, None] + faces.light.diffuse[:, None] * cosine.clamp_min(0)
    shade = shade * _hollows(faces, x, y, ridge)
    colour, hair = _paint(faces, rays, x, y, ridge)
    return Skull(colour, shade, cover, hair * cover, depth)


def _nose(faces: Faces, x: Tensor, y: Tensor, lean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The ridge of the nose, 0 to 1, and its slopes.

    It stands out of the face, so a ray that leans meets it to the side of where it meets the face: the shift is what
    shows how a head is turned. (pog.md adds it; a ridge nearer to the camera needs it subtracted.)
    """
    length, width = faces.subject.nose[:, :, None].unbind(1)
    scale = 0.55 * width
    part = (y / faces.subject.mouth[:, :1]).clamp(0, 0.75)
    across = (x - 0.8 * length * part * lean) / scale
    phase = ((y - NOSE_TOP) / (NOSE_END - NOSE_TOP)).clamp(0, 1) * math.pi
    profile = (-across * across).exp()
    ridge = profile * phase.sin()
    slope_x = -2 * across / scale * ridge * (0.45 * length)
    slope_y = profile * phase.cos() * (math.pi / (NOSE_END - NOSE_TOP)) * (0.35 * length)
    return ridge, slope_x, slope_y * (phase > 0) * (phase < math.pi)


def _hollows(faces: Faces, x: Tensor, y: Tensor, ridge: Tensor) -> Tensor:
    """How much light reaches the sockets of the eyes and the underside of the nose."""
    aside = x.abs() - 0.46 * faces.subject.eye_distance[:, None]
    socket = (-(aside / 1.9).square() - ((y + 0.5) / 1.3).square()).exp()
    return 1 - 0.22 * socket * (1 - 0.8 * ridge)


def _paint(faces: Faces, rays: Rays, x: Tensor, y: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Colours, and where there is hair."""
    person, soft = faces.subject, rays.footprint
    skin = person.skin[:, :, None]
    colour = skin.expand(-1, -1, x.shape[1]).clone()
    below, half = person.mouth[:, :, None].unbind(1)
    lips = _blob(x, (y - below) * (1 - 0.1 * (x / half).square()), half, 0.62, soft)
    colour.lerp_(skin * LIPS[:, None], lips[:, None])
    gap = _blob(x, y - below, 0.85 * half, 0.10, soft)
    colour.lerp_(skin * 0.35, (0.8 * gap)[:, None])
    nostrils = _blob(x.abs() - 0.42 * person.nose[:, 1:], y - 4.75, 0.30, 0.20, soft)
    colour.lerp_(skin * 0.35, (0.7 * nostrils)[:, None])
    brows = _brows(faces, rays)
    colour.lerp_((0.7 * person.hair)[:, :, None], (0.85 * brows)[:, None])
    line = HAIRLINE + 0.035 * x.square()
    hair = ramp(line - y, 1.5 * soft + 0.4)
    colour.lerp_(person.hair[:, :, None], hair[:, None])
    return colour, hair


def brow_arc(height: Float[Tensor, "*#n"], aside: Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
    """How far below the eyes the middle of a brow is, so far on the temple's side of the eye, cm."""
    return height + 0.11 * (aside - 0.35).square() - 0.06 * aside


def _blob(x: Tensor, y: Tensor, half_width: Tensor | float, half_height: float, soft: Tensor) -> Tensor:
    """An ellipse about the origin. One that is smaller than a pixel is paler instead."""
    high = (half_height * half_height + 0.3 * soft.square()).sqrt()
    radius = ((x / half_width).square() + (y / high).square()).sqrt()
    return ramp((1 - radius) * high, soft) * (half_height / high)


def _brows(faces: Faces, rays: Rays) -> Tensor:
    """Both brows: arcs that stand out of the face as far as the lids do, so that they stay above the eyes."""
    person, soft = faces.subject, rays.footprint
    depth = (LID_PLANE * person.eye_radius[:, None] - rays.origin[2]) / rays.direction[2]
    x = rays.origin[0] + depth * rays.direction[0]
    y = rays.origin[1] + depth * rays.direction[1]
    aside = x.abs() - 0.5 * person.eye_distance[:, None]
    height, thickness = person.brow[:, :, None].unbind(1)
    arc = brow_arc(height, aside)
    thin = thickness * (1 - 0.12 * aside.clamp_min(0))
    across = ramp(thin - (y - arc).abs(), soft + 0.1)
    return across * ramp(2.15 - (aside - 0.2).abs(), soft + 0.5)
