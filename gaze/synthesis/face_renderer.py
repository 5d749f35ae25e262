"""Renders faces by ray casting: any crop of the frame at its own resolution, with masks and depth.

Everything is a function of the ray, with soft edges about a pixel wide instead of supersampling. Rendering mirrored
parameters gives the mirrored picture, and a rolled camera the rolled picture; tests hold both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.eyeballs import Sight, see_eyes
from gaze.synthesis.face_rays import Rays, cast_rays, ramp
from gaze.synthesis.faces import Faces, eyes_of
from gaze.synthesis.skulls import Skull, see_skull
from gaze.types import Record

LENS_DEPTH = -1.9  # where glasses sit: cm in front of the head's origin
BRIDGE = -0.35  # cm below the eyes


@dataclass(frozen=True)
class Rendering(Record):
    """Crops as a perfect camera sees them. Masks say which part of each pixel shows something, 0 to 1."""

    image: Float[Tensor, "b 3 H W"]  # 0 black, 1 as bright as white paper in plain light; light can exceed it
    depth: Float[Tensor, "b H W"]  # cm along the camera's axis; inf where there is background
    head: Float[Tensor, "b H W"]
    skin: Float[Tensor, "b H W"]
    hair: Float[Tensor, "b H W"]
    eyes: Float[Tensor, "b H W"]  # between the lids
    iris: Float[Tensor, "b H W"]
    glasses: Float[Tensor, "b H W"]  # their rims


def render_faces(
    faces: Faces, boxes: Float[Tensor, "b 4"], size: int | tuple[int, int], refraction: bool = False
) -> Rendering:
    """Crops of faces.

    Args:
        faces: one for each box.
        boxes: (x, y, w, h) in px of the frame that `faces.view` describes; they may leave it.
        size: of the crops, px: one number, or (height, width).
        refraction: show pupil and iris as through a cornea.
    """
    height, width = (size, size) if isinstance(size, int) else size
    faces, boxes = faces.float32(), boxes.float()
    rays = cast_rays(faces, boxes, (height, width))
    toward = (faces.light.toward[:, None] @ faces.rotation)[:, 0]
    skull = see_skull(faces, rays, toward)
    sight = see_eyes(faces, eyes_of(faces), rays, toward, refraction)
    planes = _composed(faces, rays, skull, sight)
    return Rendering(**{name: plane.unflatten(-1, (height, width)) for name, plane in planes.items()})


def _composed(faces: Faces, rays: Rays, skull: Skull, sight: Sight) -> dict[str, Tensor]:
    at = (sight.sample, sight.pixel)
    visible = sight.visible * skull.cover[at]  # an eye beyond the head's outline is turned away
    shade = skull.shade
    shade[at] *= sight.dark
    image = skull.colour.mul_(shade[:, None])
    lit = image.transpose(0, 1)  # [3 b p]
    lit[:, at[0], at[1]] = torch.lerp(lit[:, at[0], at[1]], sight.colour, visible)
    eyes, iris = torch.zeros_like(skull.cover), torch.zeros_like(skull.cover)
    eyes[at], iris[at] = visible, sight.iris * skull.cover[at]
    depth = torch.where(skull.cover > 0.5, skull.depth, torch.inf)
    depth[at] = torch.where(visible > 0.5, sight.depth, depth[at])
    image = torch.lerp(faces.background[:, :, None], image, skull.cover[:, None])
    glasses = _rims(faces, rays)
    image.lerp_((faces.subject.rim_colour * faces.light.ambient[:, None])[:, :, None], glasses[:, None])
    skin = (skull.cover - skull.hair - eyes).clamp_min_(0)
    return {
        "image": image,
        "depth": depth,
        "head": skull.cover,
        "skin": skin,
        "hair": skull.hair,
        "eyes": eyes,
        "iris": iris,
        "glasses": glasses,
    }


def _rims(faces: Faces, rays: Rays) -> Float[Tensor, "b p"]:
    """The rims of glasses, superellipses about the eyes, and the bridge between them."""
    person, soft = faces.subject, rays.footprint
    worn = person.glasses > 0
    cover = torch.zeros_like(rays.direction[0])
    if not worn.any():
        return cover
    (ox, oy, oz), (dx, dy, dz) = ([v[worn] for v in part] for part in (rays.origin, rays.direction))
    half_width, half_height, thickness = person.rim[worn, :, None].unbind(1)
    soft = soft[worn]
    depth = (LENS_DEPTH - oz) / dz
    x, y = ox + depth * dx, oy + depth * dy - 0.15
    aside = (x.abs() - person.eye_distance[worn, None] / 2).abs()
    radius = (aside / half_width).pow(3) + (y.abs() / half_height).pow(3)
    outside = (radius.pow(1 / 3) - 1) * half_height  # cm beyond the middle of the rim, about
    pale = thickness / (thickness.square() + 0.5 * soft.square()).sqrt()
    rim = ramp(thickness / 2 - outside.abs(), soft) * pale
    gap = person.eye_distance[worn, None] / 2 - half_width
    bridge = ramp(0.12 - (y - BRIDGE).abs(), soft) * ramp(gap - x.abs(), soft)
    cover[worn] = torch.maximum(rim, bridge) * 0.92
    return cover
