"""What is known about every person of a synthetic picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from gaze.synthesis.poses import unit
from gaze.synthesis.scenes import HEAD_REACH, OUTSIDE, PERSON, Scenes

BODY_HALF_WIDTH = 1.1  # head radii: arms included


class Label(NamedTuple):
    """One person. Boxes are (x0, y0, x1, y1); px are those of the picture, the rest are fractions of it."""

    scene: int  # its index in the split
    person: int
    head_bbox_px: tuple[float, float, float, float]  # inside the picture
    body_bbox: tuple[float, float, float, float]  # inside the picture
    eye: tuple[float, float]  # between the eyes
    gaze: tuple[float, float]  # the point looked at; outside of [0, 1] if that is out of the frame
    inside: bool  # is it in the frame?
    reach: float  # radius of what is looked at, fraction of the short side; 0 outside
    direction: tuple[float, float, float]  # unit vector from between the eyes to the point, camera frame
    looks_at: str  # "object 2", "person 0" or "outside"


def labels(scenes: Scenes, indices: list[int]) -> list[Label]:
    """The labels of all people, scene by scene."""
    people, camera = scenes.people, scenes.camera
    size = torch.tensor([camera.width, camera.height], dtype=torch.float64)
    limit = size.repeat(2)
    heads = head_boxes(scenes).clamp_min(0).minimum(limit)
    bodies = (_body_boxes(scenes).clamp_min(0).minimum(limit) / limit).tolist()
    eye, gaze = (camera.project(points) / size for points in (people.origin, people.target))
    inside = ((gaze > 0) & (gaze < 1)).all(-1)
    direction = unit(people.target - people.origin)
    reach = _reach(scenes)
    rows = []
    for b, n in people.present.nonzero().tolist():
        kind, which = int(people.target_kind[b, n]), int(people.target_index[b, n])
        rows.append(
            Label(
                scene=indices[b],
                person=n,
                head_bbox_px=tuple(heads[b, n].tolist()),
                body_bbox=tuple(bodies[b][n]),
                eye=tuple(eye[b, n].tolist()),
                gaze=tuple(gaze[b, n].tolist()),
                inside=bool(inside[b, n]),
                reach=float(reach[b, n]),
                direction=tuple(direction[b, n].tolist()),
                looks_at="outside" if kind == OUTSIDE else f"{'person' if kind == PERSON else 'object'} {which}",
            )
        )
    return rows


def head_boxes(scenes: Scenes) -> Float64[Tensor, "b n 4"]:
    """The boxes of the balls that hold each head, px; not cut off at the frame."""
    return scenes.camera.ball_box(scenes.people.head, HEAD_REACH * scenes.people.radius)


def _body_boxes(scenes: Scenes) -> Float64[Tensor, "b n 4"]:
    """From the top of the head to the floor, px."""
    people, camera = scenes.people, scenes.camera
    head = head_boxes(scenes)
    scale = camera.focal / people.head[..., 2]
    middle = camera.project(people.head)[..., 0]
    half = BODY_HALF_WIDTH * people.radius * scale
    floor = camera.horizon[:, None] + scale * scenes.room.floor[:, None]
    return torch.stack([middle - half, head[..., 1], middle + half, floor], -1)


def _reach(scenes: Scenes) -> Float64[Tensor, "b n"]:
    people, camera = scenes.people, scenes.camera
    scene = torch.arange(len(people.present))[:, None]
    index = people.target_index.clamp_min(0)
    of_object = scenes.objects.radius[scene, index.clamp_max(scenes.objects.radius.shape[1] - 1)]
    of_person = people.radius[scene, index.clamp_max(people.radius.shape[1] - 1)]
    radius = torch.where(people.target_kind == PERSON, of_person, of_object)
    reach = radius * camera.focal / people.target[..., 2] / camera.short_side
    return reach.masked_fill(people.target_kind == OUTSIDE, 0.0)
