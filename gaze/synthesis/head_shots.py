"""What decides the pictures of synthetic heads: who, what the face does, where it looks, and which camera sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.rotations import vector_to_matrix
from gaze.synthesis.draws import Draws
from gaze.synthesis.head_anatomy import EXPRESSION, IDENTITY, MOVING, PERSONAL
from gaze.types import FaceInputs, Record

DISTANCE = 8.0  # of cameras from the middle of where heads are
HALF_VIEW = 1.25  # of what a picture shows there
MOST_Z = 2.0  # standard deviations of what differs between people


@dataclass(frozen=True)
class HeadHabits:
    """How the pictures of a world differ. Angles are radians, lengths those of the canonical frame."""

    frames: Mapping[str, int]  # of each person; each is seen by all cameras at once
    cameras: int
    ring_rad: float
    expressions: int | None
    gaze_pitch_rad: Mapping[str, float]
    gaze_yaw_rad: Mapping[str, float]
    head_pitch_rad: float
    head_yaw_rad: float
    head_roll_rad: float
    position: tuple[float, float, float]
    principal_shift: float
    background: str
    code_noise: float


@dataclass(frozen=True)
class HeadShots(Record):
    """One picture in each row."""

    inputs: FaceInputs  # float64
    background: Float[Tensor, "*b 2 3"]  # colours of the upper and the lower edge
    frame: Int[Tensor, "*b"]  # of the person
    view: Int[Tensor, "*b"]  # the camera


def draw_head_shots(
    habits: HeadHabits, size: int, seed: int, split: str, person: int, rows: Sequence[int]
) -> HeadShots:
    """Some pictures of one person; those of frame f are rows f * cameras to (f + 1) * cameras - 1."""
    row = torch.as_tensor(list(rows))
    frame, view = row // habits.cameras, row % habits.cameras
    first, count = person * habits.frames[split], len(row)
    moments = (first + frame).tolist()
    frames = Draws(seed, f"heads/{split}/frames", moments)
    gaze = frames.uniform(-1, 1, 2)
    gaze = gaze * gaze.new_tensor([habits.gaze_pitch_rad[split], habits.gaze_yaw_rad[split]])
    turn = frames.uniform(-1, 1, 3)
    turn = turn * turn.new_tensor([habits.head_pitch_rad, habits.head_yaw_rad, habits.head_roll_rad])
    position = frames.normal(3) * turn.new_tensor(habits.position)
    views = Draws(seed, f"heads/{split}/views", (person * habits.frames[split] * habits.cameras + row).tolist())
    inputs = FaceInputs(
        gaze=gaze,
        identity=_identity(habits, seed, split, person).expand(count, -1),
        expression=_expression(habits, seed, split, person, frame),
        pose=torch.cat([turn, position], -1),
        scale=torch.ones(count, dtype=torch.float64),
        world_to_camera=ring(habits.cameras, habits.ring_rad)[view],
        camera=_camera(size, habits.principal_shift * size * views.uniform(-1, 1, 2)),
        sample=torch.full((count,), -1),
    )
    wall = views.uniform(0.1, 1, 2, 3) if habits.background == "random" else torch.ones(count, 2, 3)
    return HeadShots(inputs, wall.float(), frame, view)


def ring(cameras: int, reach_rad: float) -> Float[Tensor, "n 4 4"]:
    """World to camera of cameras about the head, evenly from picture-left (-reach) to picture-right; one is ahead."""
    angle = (
        torch.linspace(-reach_rad, reach_rad, cameras, dtype=torch.float64) if cameras > 1 else torch.zeros(1).double()
    )
    zero = torch.zeros_like(angle)
    down = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    pose = torch.eye(4, dtype=torch.float64).repeat(cameras, 1, 1)
    pose[:, :3, :3] = down @ vector_to_matrix(torch.stack([zero, -angle, zero], -1))
    pose[:, 2, 3] = DISTANCE
    return pose


def _identity(habits: HeadHabits, seed: int, split: str, person: int) -> Float[Tensor, "1 80"]:
    draws = Draws(seed, f"heads/{split}/people", [person])
    drawn = draws.normal(PERSONAL).clamp(-MOST_Z, MOST_Z)
    return torch.cat([drawn, habits.code_noise * draws.normal(IDENTITY - PERSONAL)], -1)


def _expression(habits: HeadHabits, seed: int, split: str, person: int, frame: Tensor) -> Float[Tensor, "b 64"]:
    """New in each frame, or one of a few that the person has, in turn."""
    kind = frame if habits.expressions is None else frame % habits.expressions
    draws = Draws(seed, f"heads/{split}/expressions", (person * habits.frames[split] + kind).tolist())
    drawn = draws.uniform(-1, 1, MOVING)
    return torch.cat([drawn, habits.code_noise * draws.normal(EXPRESSION - MOVING)], -1)


def _camera(size: int, shift: Float[Tensor, "b 2"]) -> Float[Tensor, "b 3 3"]:
    camera = torch.eye(3, dtype=torch.float64).repeat(len(shift), 1, 1)
    camera[:, 0, 0] = camera[:, 1, 1] = size / 2 * DISTANCE / HALF_VIEW
    camera[:, :2, 2] = size / 2 + shift
    return camera
