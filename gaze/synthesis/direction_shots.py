"""Draws people who look in all directions: person, then session, then sample, each level with its own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.geometry import pitch_yaw_to_vector
from gaze.synthesis.direction_light import Shadow, draw_background, draw_light
from gaze.synthesis.direction_motions import Clips, Ranges
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_exposure import Exposure, grain_corners
from gaze.synthesis.face_subjects import draw_subjects
from gaze.synthesis.faces import Faces, View, head_rotation
from gaze.synthesis.poses import unit
from gaze.types import Record

FOCAL_PX, DISTANCE_CM = 960.0, 60.0  # of the camera of normalised pictures, as the data sets have it
FACE_CENTRE = (0.0, 2.4, -1.0)  # of the corners of eyes and mouth, head frame, cm
FRAME_PX = 1024.0  # of a camera that does not turn to the face
FAR_CM = (50.0, 110.0)  # from that camera
LOOKED_AT_CM = (80.0, 300.0)  # from the eyes
FRAMES_APART = 10  # numbers of frames of independent samples: nothing takes them for neighbours in time
HIDDEN_FRAMES = 3  # for which a hand stays in front of the eyes


@dataclass(frozen=True)
class Shots(Record):
    """A batch of samples: the truth that pictures and labels are both made of."""

    index: Int[Tensor, "*b"]  # of the split
    person: Int[Tensor, "*b"]  # of the split
    session: Int[Tensor, "*b"]  # of the person
    frame: Int[Tensor, "*b"]  # of the person; consecutive ones follow each other in time
    faces: Faces
    exposure: Exposure
    shadow: Shadow
    hidden: Bool[Tensor, "*b"]  # the eyes
    dropped: Bool[Tensor, "*b"]  # lost by the camera
    context: Bool[Tensor, "*b"]  # no sample, but a neighbour of samples
    gaze: Float[Tensor, "*b 3"]  # unit vector in the labels' frame
    head: Float[Tensor, "*b 3 3"]  # the head's rotation in the labels' frame
    words: Int[Tensor, "*b 4"]  # row of each of `WORDS`

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, index: Tensor | slice) -> Shots:
        """Some of the samples."""
        return self.map(lambda t: t[index])


@dataclass(frozen=True)
class Habits:
    """What a world asks of its people: see `DirectionWorld` for what each means."""

    ranges: Ranges
    clips: Clips | None
    session: int
    normalised: bool
    face_cm: float
    aside_deg: float
    kappa_scale: float
    glasses: float
    noise: float
    blur: float
    hidden: float


def draw_shots(
    habits: Habits, stream: str, seed: int, split: str, per_person: int, crop_px: int, indices: Sequence[int]
) -> Shots:
    """Some samples of a split.

    Args:
        stream: name of the world's random numbers.
        per_person: samples of each person; sample i is of person i // per_person.
        crop_px: the largest crop that is to be rendered.
        indices: numbers of samples, in any order.
    """
    index = torch.tensor(list(indices))
    person, own = index // per_person, index % per_person
    number, frame = own // habits.session, own % habits.session

    def level(name: str, numbers: Tensor) -> Draws:
        return Draws(seed, f"{stream}/{split}/{name}", numbers.tolist())

    subject = draw_subjects(level("person", person), habits.kappa_scale, habits.glasses)
    sessions = person * (per_person // habits.session + 1) + number
    session, sample = level("session", sessions), level("sample", index)
    light, shadow, illumination = draw_light(session, sample)
    background, wall = draw_background(session, illumination)
    angles = habits.ranges.walks(session, frame) if habits.clips else habits.ranges.poses(sample)
    roll = torch.zeros_like(angles.roll) if habits.normalised else angles.roll
    rotation = head_rotation(angles.head[:, 0], angles.head[:, 1], roll)
    position, view = _stand(habits, rotation, session, sample)
    gaze = (rotation @ pitch_yaw_to_vector(angles.eye)[..., None])[..., 0]
    faces = Faces(
        subject=subject,
        view=view,
        light=light,
        rotation=rotation,
        position=position,
        target=position + sample.uniform(*LOOKED_AT_CM, 1) * gaze,
        pupil=sample.uniform(0.15, 0.32),
        aperture=sample.uniform(0.85, 1.1),
        background=background,
    )
    frames = torch.eye(3, dtype=torch.float64).expand_as(rotation) if habits.normalised else ray_frame(position)
    label, head = frames @ gaze[..., None], frames @ rotation
    # A head's yaw in the labels' frame decides its word: that is what the picture shows.
    yaw = torch.atan2(head[:, 0, 2], head[:, 2, 2]).abs()
    blocks = level("hidden", sessions * (habits.session + 1) + frame // HIDDEN_FRAMES) if habits.clips else sample
    exposure = _expose(habits, session, sample, crop_px)
    hidden = blocks.uniform(0, 1) < habits.hidden
    words = torch.stack([illumination, (yaw > habits.ranges.halfway).long(), wall, hidden.long()], -1)
    clips = habits.clips or Clips(length=1, dropped=0.0, context=0)
    return Shots(
        index=index,
        person=person,
        session=number,
        frame=frame + 2 * number * habits.session if habits.clips else FRAMES_APART * own,
        faces=faces,
        exposure=exposure,
        shadow=shadow,
        hidden=hidden,
        dropped=sample.uniform(0, 1) < clips.dropped,
        context=(frame < clips.context) | (frame >= habits.session - clips.context),
        gaze=label[..., 0],
        head=head,
        words=words,
    )


def ray_frame(position: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Rotations from the camera's frame to one whose z leads to the position, and whose x is level, as Gaze360 has it."""
    z = unit(position)
    down = torch.tensor([0.0, 1.0, 0.0], dtype=z.dtype).expand_as(z)
    x = unit(torch.linalg.cross(down, z))
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def _stand(
    habits: Habits, rotation: Float[Tensor, "b 3 3"], session: Draws, sample: Draws
) -> tuple[Float[Tensor, "b 3"], View]:
    """Where heads are, and the camera that sees them."""
    centre = rotation @ torch.tensor(FACE_CENTRE, dtype=torch.float64)
    count = len(rotation)
    focal = torch.full((count,), FOCAL_PX, dtype=torch.float64)
    if habits.normalised:
        size = torch.full((count, 2), FOCAL_PX * habits.face_cm / DISTANCE_CM, dtype=torch.float64)
        ahead = torch.tensor([0.0, 0.0, DISTANCE_CM], dtype=torch.float64)
        return ahead - centre, View(focal, size / 2, size)
    size = torch.full((count, 2), FRAME_PX, dtype=torch.float64)
    aside = torch.deg2rad(habits.aside_deg * session.uniform(-1, 1, 2)).tan()
    far = session.uniform(*FAR_CM, 1) + sample.normal(1)
    return torch.cat([aside, torch.ones_like(far)], 1) * far - centre, View(focal, size / 2, size)


def _expose(habits: Habits, session: Draws, sample: Draws, crop_px: int) -> Exposure:
    blur = habits.blur * sample.uniform(0, 1)
    return Exposure(
        gain=session.uniform(0.9, 1.1, 1) * session.uniform(0.96, 1.04, 3),
        noise=habits.noise * session.uniform(0.5, 1),
        blur=blur,
        gamma=torch.ones_like(blur),
        grain=grain_corners(sample, 3, crop_px),
    )
