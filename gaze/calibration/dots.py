"""The dots that somebody looked at: one row each, whatever the number of frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.calibration.looks import Looks
from gaze.errors import UserError


class CalibrationError(UserError, ValueError):
    """These frames cannot calibrate what was asked for."""


@dataclass(frozen=True)
class Frames:
    """The n frames of one person, each fixation's in the order of time. Points are cm in prediction space."""

    point: Float[Tensor, "n 2"]  # predicted
    target: Float[Tensor, "n 2"]  # where the dot was
    dot: Int[Tensor, "n"]  # number of the fixation; -1 where unknown: then equal targets are one dot
    features: Float[Tensor, "n f"] | None = None
    looks: Looks | None = None  # of the same frames, if the model is there

    def __len__(self) -> int:
        return len(self.point)

    def at(self, rows: Tensor) -> Frames:
        """Some of the frames, by a mask or by their numbers."""
        return Frames(
            self.point[rows],
            self.target[rows],
            self.dot[rows],
            None if self.features is None else self.features[rows],
            None if self.looks is None else self.looks.at(rows),
        )


@dataclass(frozen=True)
class Dots:
    """k dots of one person: the median prediction of each, and how many frames it is of."""

    point: Float[Tensor, "k 2"]
    target: Float[Tensor, "k 2"]
    frames: Float[Tensor, "k"]
    features: Float[Tensor, "k f"] | None = None
    looks: Looks | None = None  # of the frames that count, if the model is there
    look_dot: Int[Tensor, "m"] | None = None  # the dot of each of them

    def __len__(self) -> int:
        return len(self.point)

    def at(self, dots: Int[Tensor, "d"]) -> Dots:
        """Some of the dots, by their numbers."""
        looks = look_dot = None
        if self.looks is not None and self.look_dot is not None:
            place = torch.full((len(self),), -1)
            place[dots] = torch.arange(len(dots))
            look_dot = place[self.look_dot]
            looks, look_dot = self.looks.at(look_dot >= 0), look_dot[look_dot >= 0]
        features = None if self.features is None else self.features[dots]
        return Dots(self.point[dots], self.target[dots], self.frames[dots], features, looks, look_dot)

    def medians(self, value: Float[Tensor, "m a"]) -> Float[Tensor, "k a"]:
        """Of what is known of the frames in `looks`: the median for each dot."""
        assert self.look_dot is not None
        return torch.stack([value[self.look_dot == dot].quantile(0.5, dim=0) for dot in range(len(self))])

    @property
    def residual(self) -> Float[Tensor, "k 2"]:
        """What is to be added to the predictions, cm."""
        return self.target - self.point


def dots_of(frames: Frames, middle: float = 0.5) -> tuple[Dots, Int[Tensor, "n"]]:
    """The dots of some frames, and the dot that each frame belongs to.

    Of every fixation only the middle part counts: it begins before the eyes arrive and ends after they leave.

    Args:
        middle: the fraction of a fixation's frames that count.

    Raises:
        CalibrationError: there are no frames, or some have no finite prediction, target or features.
    """
    if not 0 < middle <= 1:
        raise CalibrationError(f"middle={middle} of each fixation; expected a fraction in (0, 1]")
    _check(frames)
    which = _numbered(frames)
    kept = []
    for number in range(int(which.max()) + 1):
        rows = (which == number).nonzero()[:, 0]
        cut = int(len(rows) * (1 - middle) / 2)
        kept.append(rows[cut : len(rows) - cut])

    def medians(value: Tensor) -> Tensor:
        return torch.stack([value[rows].double().quantile(0.5, dim=0) for rows in kept])

    numbers = torch.cat([torch.full((len(rows),), number) for number, rows in enumerate(kept)])
    return Dots(
        point=medians(frames.point),
        target=medians(frames.target),
        frames=torch.tensor([float(len(rows)) for rows in kept], dtype=torch.float64),
        features=None if frames.features is None else medians(frames.features),
        looks=None if frames.looks is None else frames.looks.at(torch.cat(kept)),
        look_dot=None if frames.looks is None else numbers,
    ), which


def _numbered(frames: Frames) -> Int[Tensor, "n"]:
    """Dots numbered from 0."""
    unknown = frames.dot < 0
    place = torch.where(unknown[:, None], frames.target.double(), 0.0)
    return torch.cat([frames.dot[:, None].double().clamp(min=-1), place], 1).unique(dim=0, return_inverse=True)[1]


def _check(frames: Frames) -> None:
    if not len(frames):
        raise CalibrationError(
            "there are no calibration dots: 0 frames; show dots and record at least one frame of each"
        )
    for name in ("point", "target", "features"):
        value = getattr(frames, name)
        bad = 0 if value is None else int((~value.isfinite().all(-1)).sum())
        if bad:
            raise CalibrationError(
                f"{bad} of {len(frames)} frames have a {'prediction' if name == 'point' else name} that is NaN or "
                f"infinite; leave out frames in which the model failed, and give the place of every dot in cm"
            )
