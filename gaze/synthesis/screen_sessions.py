"""Draws people with devices in their hands: person, then session, then sample, each level with its own numbers.

Any sample is reproducible alone: its person's numbers depend on (seed, split, person), its session's on (seed, split,
person, session), its own on (seed, split, sample).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.devices import Device
from gaze.geometry import plane_to_camera, screen_to_camera_plane, turned_size, vector_to_pitch_yaw
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_exposure import Exposure, grain_corners
from gaze.synthesis.face_subjects import draw_subjects
from gaze.synthesis.faces import Faces, Light, View, head_rotation
from gaze.synthesis.poses import unit
from gaze.synthesis.screen_targets import dot_numbers, draw_targets, session_length
from gaze.types import Record

FOCAL_PX, FRAME_PX = 560.0, (480.0, 640.0)  # of all cameras
HELD_ASIDE = 0.7  # how far people sit in front of the screen's middle, 0 in front of the camera
TABLET_FARTHER_CM = 8.0
TURNED = 0.6  # at most this part of a gaze is the head's
PORTRAIT, PHONE_WAYS, TABLET_WAYS = (1,), (1, 3, 4), (1, 2, 3, 4)  # orientations


@dataclass(frozen=True)
class Screens(Record):
    """Which screen is in front of each face, how it is held and where it is looked at."""

    device: Int[Tensor, "b"]  # row of the world's devices
    orientation: Int[Tensor, "b"]  # 1 to 4
    size_cm: Float[Tensor, "b 2"]  # width and height as the user sees it
    camera_cm: Float[Tensor, "b 2"]  # native offset (dX, dY)
    gaze_cm: Float[Tensor, "b 2"]  # on the screen, from its top left
    point_cm: Float[Tensor, "b 2"]  # the same in prediction space


@dataclass(frozen=True)
class Shots(Record):
    """A batch of samples: the truth that pictures and labels are both made of."""

    person: Int[Tensor, "b"]
    session: Int[Tensor, "b"]  # of the person
    frame: Int[Tensor, "b"]  # of the session
    dot: Int[Tensor, "b"]  # of the session; -1 where it moves
    screens: Screens
    faces: Faces
    exposure: Exposure
    closed: Bool[Tensor, "b"]  # the eyes


@dataclass(frozen=True)
class Habits:
    """What a world asks of its people: see `ScreenWorld` for what each means."""

    devices: Sequence[Device]
    portrait_only: bool
    targets: str
    session: int
    frames_per_dot: int
    kappa_scale: float
    glasses: float
    closed: float
    focal_spread: float
    blur: float
    gamma: float


def draw_shots(habits: Habits, seed: int, split: str, per_person: int, crop_px: int, indices: Sequence[int]) -> Shots:
    """Some samples of a split.

    Args:
        per_person: samples of each person; sample i is of person i // per_person.
        crop_px: the largest crop that is to be rendered.
        indices: numbers of samples, in any order.
    """
    length = session_length(habits.targets, habits.session, habits.frames_per_dot)
    index = torch.tensor(list(indices))
    person, own = index // per_person, index % per_person
    number, frame = own // length, own % length
    subject = draw_subjects(_draws(seed, split, "person", person), habits.kappa_scale, habits.glasses)
    session = _draws(seed, split, "session", person * (per_person // length + 1) + number)
    sample = _draws(seed, split, "sample", index)
    screens, far = _hold(habits, session, sample, frame)
    target = plane_to_camera(screens.point_cm)
    distance = session.uniform(26, 42) + far + subject.nearer
    position = _sit(screens, (distance + 1.0 * sample.normal()).clamp(22, 60), sample)
    closed = sample.uniform(0, 1) < habits.closed
    faces = Faces(
        subject=subject,
        view=_view(habits, seed, screens.device),
        light=_light(session, sample),
        rotation=_pose(target - position, subject.roll, sample),
        position=position,
        target=target,
        pupil=sample.uniform(0.15, 0.32),
        aperture=torch.where(closed, 0.0, sample.uniform(0.8, 1.1)),
        background=_background(session),
    )
    dot = dot_numbers(habits.targets, frame, habits.frames_per_dot)
    return Shots(person, number, frame, dot, screens, faces, _expose(habits, session, sample, crop_px), closed)


def _draws(seed: int, split: str, level: str, numbers: Tensor) -> Draws:
    return Draws(seed, f"screen/{split}/{level}", numbers.tolist())


def _hold(habits: Habits, session: Draws, sample: Draws, frame: Tensor) -> tuple[Screens, Tensor]:
    """Devices as they are held, with targets on them, and how much farther than a phone they are held, cm."""
    sizes, offsets = (
        torch.tensor([getattr(d, name) for d in habits.devices], dtype=torch.float64)
        for name in ("screen_cm", "camera_to_screen_cm")
    )
    ways = [_ways(device, habits.portrait_only) for device in habits.devices]
    counts = torch.tensor([len(w) for w in ways])
    table = torch.tensor([[*w, *[0] * (4 - len(w))] for w in ways])
    device = session.integers(0, len(habits.devices) - 1)
    way = (session.uniform(0, 1) * counts[device]).long()
    orientation = table[device, way]
    size = turned_size(sizes[device], orientation)
    gaze = size * draw_targets(habits.targets, session, sample, frame, habits.frames_per_dot)
    point = screen_to_camera_plane(gaze, size, offsets[device], orientation)
    far = torch.tensor([0.0 if d.kind == "phone" else TABLET_FARTHER_CM for d in habits.devices])[device]
    return Screens(device, orientation, size, offsets[device], gaze, point), far


def _ways(device: Device, portrait_only: bool) -> tuple[int, ...]:
    """The orientations a device is held in: nobody turns a phone upside down, and nobody turns a desk's screen."""
    if portrait_only or device.kind not in ("phone", "tablet"):
        return PORTRAIT
    return PHONE_WAYS if device.kind == "phone" else TABLET_WAYS


def _sit(screens: Screens, distance: Tensor, sample: Draws) -> Float[Tensor, "b 3"]:
    """Where the eyes are: about in front of the screen's middle, camera frame."""
    middle = screen_to_camera_plane(screens.size_cm / 2, screens.size_cm, screens.camera_cm, screens.orientation)
    aside = plane_to_camera(HELD_ASIDE * middle)[:, :2] + 2 * sample.normal(2)
    return torch.cat([aside - torch.tensor([0.0, 1.0]), distance[:, None]], 1)


def _pose(gaze: Tensor, habit: Tensor, sample: Draws) -> Float[Tensor, "b 3 3"]:
    """Heads that follow the gaze a part of the way."""
    turned = vector_to_pitch_yaw(gaze) * sample.uniform(0, TURNED, 1) + math.radians(6) * sample.normal(2)
    return head_rotation(turned[:, 0], turned[:, 1], habit + math.radians(3) * sample.normal())


def _view(habits: Habits, seed: int, device: Tensor) -> View:
    """The cameras: a device has one focal length in all its pictures."""
    spread = Draws(seed, "screen/focal", range(len(habits.devices))).uniform(-1, 1)[device]
    size = torch.tensor(FRAME_PX, dtype=torch.float64).expand(len(device), 2)
    return View(FOCAL_PX * (1 + habits.focal_spread * spread), size / 2, size)


def _light(session: Draws, sample: Draws) -> Light:
    """The lamps of a session; people move under them, and clouds pass."""
    toward = torch.stack([session.uniform(-1, 1), session.uniform(-1.2, 0.3), -session.uniform(0.3, 1.2)], -1)
    return Light(
        unit(toward + 0.15 * sample.normal(3)),
        session.uniform(0.35, 0.75) * (1 + 0.05 * sample.normal()),
        session.uniform(0.25, 0.8) * (1 + 0.05 * sample.normal()),
    )


def _background(session: Draws) -> Float[Tensor, "b 3"]:
    """A wall: grey with some colour."""
    return (session.uniform(0.15, 0.85, 1) + session.uniform(-0.15, 0.15, 3)).clamp(0, 1)


def _expose(habits: Habits, session: Draws, sample: Draws, crop_px: int) -> Exposure:
    return Exposure(
        gain=(session.uniform(0.75, 1.2) * (1 + 0.03 * sample.normal()))[:, None] * session.uniform(0.94, 1.06, 3),
        noise=session.uniform(0.005, 0.03),
        blur=habits.blur * sample.uniform(0, 1),
        gamma=1 + habits.gamma * sample.uniform(-1, 1),
        grain=grain_corners(sample, 3, crop_px),
    )
