"""Decides who looks at what, and turns heads accordingly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from gaze.geometry import vector_to_pitch_yaw
from gaze.synthesis.camera import Camera
from gaze.synthesis.draws import Draws
from gaze.synthesis.placement import Crowd, between
from gaze.synthesis.poses import moved, rotation
from gaze.synthesis.scenes import EYE_CENTERS, OBJECT, OUTSIDE, PERSON, Looks, People, Room, Things

EYE_YAW, EYE_PITCH = 0.6, 0.4  # rad: eyes turn this far in the head at most
EXITS = 8  # ways out of the picture that are considered
UNFIT = 100.0


@dataclass(frozen=True)
class Shares:
    """How often people look out of the frame, and at each other."""

    outside: float
    people: float


@dataclass(frozen=True)
class Aims:
    """What everybody looks at."""

    target: Float64[Tensor, "b n 3"]  # the point
    kind: Int64[Tensor, "b n"]  # OBJECT, PERSON or OUTSIDE
    index: Int64[Tensor, "b n"]  # which object or person; -1 outside


def aim(
    draws: Draws, camera: Camera, room: Room, crowd: Crowd, objects: Things, shares: Shares, difficulty: float
) -> Aims:
    """Something to look at for each person: an object, somebody else or a place out of the frame."""
    count = crowd.present.shape[1]
    lot = draws.uniform(0, 1, count)
    object_cost = _cost(draws, camera, crowd, objects.center, objects.present, difficulty)
    person_cost = _cost(draws, camera, crowd, crowd.head, crowd.present, difficulty)
    person_cost = person_cost + UNFIT**2 * torch.eye(count)
    exits = _exit(draws, camera, room, crowd, objects)
    company = crowd.present.sum(1, keepdim=True) > 1
    kind = torch.where(lot < shares.outside, OUTSIDE, OBJECT)
    kind = torch.where((lot >= shares.outside) & (lot < shares.outside + shares.people) & company, PERSON, kind)
    which_object, which_person = object_cost.argmin(2), person_cost.argmin(2)
    scene = torch.arange(len(kind))[:, None]
    looked_at = torch.where(
        (kind == PERSON)[..., None], crowd.head[scene, which_person], objects.center[scene, which_object]
    )
    target = torch.where((kind == OUTSIDE)[..., None], exits, looked_at)
    index = torch.where(kind == PERSON, which_person, which_object).masked_fill(kind == OUTSIDE, -1)
    return Aims(target, kind, index)


def attend(draws: Draws, crowd: Crowd, aims: Aims, looks: Looks, difficulty: float) -> People:
    """The people, with their heads turned towards what they look at."""
    pitch, yaw, roll = _head_pose(draws, aims.target - crowd.head, difficulty)
    turn = rotation(pitch, yaw, roll)
    between_eyes = torch.tensor(EYE_CENTERS, dtype=torch.float64).mean(0) * crowd.radius[..., None]
    return People(
        present=crowd.present,
        head=crowd.head,
        radius=crowd.radius,
        rotation=turn,
        body_yaw=0.55 * yaw,
        origin=moved(crowd.head, turn, between_eyes),
        target=aims.target,
        target_kind=aims.kind,
        target_index=aims.index,
        looks=looks,
    )


def _cost(
    draws: Draws, camera: Camera, crowd: Crowd, center: Tensor, present: Tensor, difficulty: float
) -> Float64[Tensor, "b n m"]:
    """A lottery among targets, lost by those that are absent, too close in the picture or, if easy, behind."""
    heads, points = camera.project(crowd.head), camera.project(center)
    apart = (heads[:, :, None] - points[:, None]).norm(dim=-1) / crowd.discs.radius[:, :, None]
    toward = center[:, None] - crowd.head[:, :, None]
    yaw = vector_to_pitch_yaw(toward)[..., 1].abs()
    seen = between(difficulty, 1.9, 4.0)  # rad: beyond a right angle the face turns away from the camera
    cost = draws.uniform(0, 1, *apart.shape[1:])
    return cost + UNFIT * ~present[:, None] + 4 * (apart < 1.9).to(cost) + 2 * (yaw > seen).to(cost)


def _exit(draws: Draws, camera: Camera, room: Room, crowd: Crowd, objects: Things) -> Float64[Tensor, "b n 3"]:
    """Points outside the view, such that little in the picture lies on the way to them."""
    count = crowd.present.shape[1]
    along = draws.uniform(0.05, 0.95, count, EXITS)
    beyond = draws.uniform(0.2, 0.6, count, EXITS)
    side = draws.integers(0, 3, count, EXITS)
    across = torch.where(side == 0, -beyond, torch.where(side == 1, 1 + beyond, along)) * camera.width
    down = torch.where(side == 2, -beyond, torch.where(side == 3, 1 + beyond, along)) * camera.height
    depth = crowd.head[..., 2, None] * draws.uniform(0.75, 1.0, count, EXITS)
    # Nobody looks through the floor: further down means nearer.
    drop = (down - camera.horizon[:, None, None]).clamp_min(1.0)
    depth = depth.minimum(camera.focal * room.floor[:, None, None] / drop)
    ways = camera.locate(across, down, depth)
    heads = camera.project(crowd.head)
    out = camera.project(ways) - heads[:, :, None]
    others = torch.cat([camera.project(objects.center), heads], 1)
    there = torch.cat([objects.present, crowd.present], 1)
    toward = others[:, None] - heads[:, :, None]
    cosine = torch.nn.functional.cosine_similarity(out[:, :, :, None], toward[:, :, None], dim=-1)
    worst = torch.where(there[:, None, None], cosine, -1.0).amax(-1)
    best = worst.argmin(-1)[..., None, None].expand(-1, -1, 1, 3)
    return ways.gather(2, best)[:, :, 0]


def _head_pose(
    draws: Draws, direction: Float64[Tensor, "b n 3"], difficulty: float
) -> tuple[Float64[Tensor, "b n"], Float64[Tensor, "b n"], Float64[Tensor, "b n"]]:
    """Pitch, yaw and roll of the heads, rad: most of the way to the target; the eyes do the rest."""
    count = direction.shape[1]
    pitch, yaw = vector_to_pitch_yaw(direction).unbind(-1)
    share = draws.uniform(0.5, between(difficulty, 0.62, 0.95), count)
    loose = between(difficulty, 0.03, 0.12)
    eyes_yaw = ((1 - share) * yaw).clamp(-EYE_YAW, EYE_YAW) + draws.uniform(-loose, loose, count)
    eyes_pitch = ((1 - share) * pitch).clamp(-EYE_PITCH, EYE_PITCH) + draws.uniform(-loose, loose, count)
    return pitch - eyes_pitch, yaw - eyes_yaw, draws.uniform(-loose, loose, count)
