"""Where heads face and eyes look: independent poses, or smooth walks of clips. Angles in radians unless a name says deg."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.synthesis.draws import Draws
from gaze.types import Record

HEAD_PITCH, ROLL, EYE_YAW, EYE_PITCH = 50.0, 45.0, 45.0, 35.0  # what people can do, degrees
HEAD_YAW = 55.0  # beyond it the renderer's heads show no eyes
WAVES = 3  # of which a walk is made
HEAD_FRAMES, EYE_FRAMES = (30.0, 90.0), (15.0, 50.0)  # shortest and longest period of the waves


@dataclass(frozen=True)
class Angles(Record):
    """How heads and eyes are turned."""

    head: Float[Tensor, "*b 2"]  # pitch, yaw in the camera's frame
    roll: Float[Tensor, "*b"]  # of the head in the picture
    eye: Float[Tensor, "*b 2"]  # pitch, yaw of the gaze in the head's frame


@dataclass(frozen=True)
class Ranges:
    """How far people turn, degrees to each side of straight ahead.

    Args:
        frontal_deg: most yaw of a head that is called frontal.
        turned_deg: least and most yaw of a head that is called turned.
        turned: share of turned heads, where poses are independent.
        head_pitch_deg, roll_deg, eye_yaw_deg, eye_pitch_deg: most.

    Raises:
        ValueError: nobody can do that.
    """

    frontal_deg: float
    turned_deg: tuple[float, float]
    turned: float
    head_pitch_deg: float
    roll_deg: float
    eye_yaw_deg: float
    eye_pitch_deg: float

    def __post_init__(self) -> None:
        limits = {"head_pitch_deg": HEAD_PITCH, "roll_deg": ROLL, "eye_yaw_deg": EYE_YAW, "eye_pitch_deg": EYE_PITCH}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to {most:g}, which people can do")
        if not 0 < self.frontal_deg < self.turned_deg[0] <= self.turned_deg[1] <= HEAD_YAW:
            raise ValueError(
                f"frontal_deg and turned_deg are {self.frontal_deg} and {list(self.turned_deg)}; "
                f"expected growing angles above 0 and up to {HEAD_YAW:g}, so that the two words differ"
            )
        if not 0 <= self.turned <= 1:
            raise ValueError(f"turned is {self.turned}; expected a share from 0 to 1")

    @property
    def halfway(self) -> float:
        """The yaw between frontal and turned, radians."""
        return math.radians((self.frontal_deg + self.turned_deg[0]) / 2)

    def poses(self, sample: Draws) -> Angles:
        """Independent ones, uniform within the ranges."""
        turned = sample.uniform(0, 1) < self.turned
        least = torch.where(turned, self.turned_deg[0], -self.frontal_deg)
        most = torch.where(turned, self.turned_deg[1], self.frontal_deg)
        side = 1.0 - 2.0 * sample.integers(0, 1)
        yaw = side * (least + (most - least) * sample.uniform(0, 1))
        pitch, roll, up, aside = sample.uniform(-1, 1, 4).unbind(-1)
        return self._angles(torch.stack([self.head_pitch_deg * pitch, yaw], -1), roll, torch.stack([up, aside], -1))

    def walks(self, session: Draws, frame: Int[Tensor, "b"]) -> Angles:
        """Those of frames of clips: smooth, and all over the ranges."""
        head, eye = _waves(session, frame, 3, HEAD_FRAMES), _waves(session, frame, 2, EYE_FRAMES)
        most = torch.tensor([self.head_pitch_deg, self.turned_deg[1]], dtype=torch.float64)
        return self._angles(head[:, :2] * most, head[:, 2], eye)

    def _angles(self, head_deg: Tensor, roll: Tensor, eye: Tensor) -> Angles:
        most = torch.tensor([self.eye_pitch_deg, self.eye_yaw_deg], dtype=torch.float64)
        return Angles(torch.deg2rad(head_deg), torch.deg2rad(self.roll_deg * roll), torch.deg2rad(most * eye))


@dataclass(frozen=True)
class Clips:
    """What makes a world one of clips.

    Args:
        length: frames of a clip, those that are dropped among them; about 30 are a second.
        dropped: share of frames that the camera lost: they have no picture and no label.
        context: frames at both ends of a clip that are no samples, but neighbours of samples, as in Gaze360.

    Raises:
        ValueError: an argument is out of range.
    """

    length: int = 30
    dropped: float = 0.1
    context: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.context, int) or self.context < 0:
            raise ValueError(f"clips.context is {self.context!r}; expected a number of frames, 0 or more")
        if not isinstance(self.length, int) or not 2 * self.context < self.length <= 1000:
            raise ValueError(
                f"clips.length is {self.length!r}; expected more than the {2 * self.context} frames of context, up to 1000"
            )
        if not 0 <= self.dropped < 1:
            raise ValueError(f"clips.dropped is {self.dropped}; expected a share from 0 to below 1")


def _waves(
    session: Draws, frame: Int[Tensor, "b"], count: int, periods: tuple[float, float]
) -> Float[Tensor, "b count"]:
    """Sums of slow waves, -1 to 1."""
    period = session.uniform(*periods, count, WAVES)
    phase = session.uniform(0, 1, count, WAVES)
    weight = session.uniform(0.5, 1, count, WAVES)
    waves = (2 * math.pi * (frame[:, None, None] / period + phase)).sin()
    return (weight * waves).sum(-1) / weight.sum(-1)
