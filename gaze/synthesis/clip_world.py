"""The world of clips: people in a room over a few moments, who sway, look elsewhere, leave and return."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor

from gaze.synthesis.attention import Aims
from gaze.synthesis.draws import Draws
from gaze.synthesis.labels import Label, labels
from gaze.synthesis.scene_world import GRAIN_MARGIN, Exposure, SceneWorld, Stage
from gaze.synthesis.scenes import Scenes

LOOKS = 3  # things that a person looks at during a clip, one after the other
SWAY = 0.12  # how far a head moves from its place, in head radii
LEAVING = 0.5  # share of the clips of several people in which one of them is away for a while
R = TypeVar("R")


class ClipWorld:
    """Synthetic clips; each is a function of (seed, split, index) and of nothing else.

    The room, the objects and the people of a clip are those of one scene of `SceneWorld`. Heads sway; each person
    looks at three things, one after the other, at moments of their own; and in some clips a person is away in the
    middle and returns, at whom nobody looks meanwhile.

    Args:
        size: of the pictures in px: one number, or (height, width); at least 32.
        difficulty: 0 (easy) to 1 (hard), see `SceneWorld`.
        frames: of each clip; at least 6.
        people: fewest and most people; null leaves it to the difficulty.
        objects: fewest and most objects to look at; null likewise.
        head_radius: smallest and largest head radius as a fraction of the short side; null likewise.
        outside: share of looks that go out of the frame.
        at_people: share of looks that go to somebody else, where there is anybody.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "clip"

    def __init__(
        self,
        size: int | Sequence[int] = 448,
        difficulty: float = 0.0,
        frames: int = 12,
        people: Sequence[int] | None = None,
        objects: Sequence[int] | None = None,
        head_radius: Sequence[float] | None = None,
        outside: float = 0.35,
        at_people: float = 0.2,
    ) -> None:
        if not isinstance(frames, int) or frames < 2 * LOOKS:
            raise ValueError(f"frames is {frames!r}; expected {2 * LOOKS} or more frames for each clip")
        self.still = SceneWorld(size, difficulty, people, objects, head_radius, outside, at_people)
        self.frames = frames
        self.height, self.width = self.still.height, self.still.width

    def parameters(self) -> dict[str, object]:
        """Everything that decides the clips, with defaults filled in; for the record."""
        return {**self.still.parameters(), "frames": self.frames}

    def scenes(self, seed: int, split: str, indices: Sequence[int]) -> Scenes:
        """The 3D truth of some clips of a split: a scene for each frame, clip by clip."""
        draws = self._draws(seed, split, indices)
        stage = self.still.stage(draws)
        away = self._away(draws, stage)
        meanwhile = replace(stage, crowd=replace(stage.crowd, present=stage.crowd.present & ~away))
        aims = [self.still.aim(draws, meanwhile if look == 1 else stage) for look in range(LOOKS)]
        first = self.still.dress(draws, stage, self.still.attend(draws, stage, aims[0]))
        look = self._look(draws, away)
        sway = self._sway(draws, away.shape[1])
        frames = repeated(stage, self.frames)
        crowd = replace(
            frames.crowd,
            present=frames.crowd.present & ~(self._gone()[:, None] & away[:, None]).flatten(0, 1),
            head=frames.crowd.head + sway * frames.crowd.radius[..., None],
        )
        # The same numbers for all frames of a clip: how far somebody turns their head, and how much they roll it.
        poses = self._draws(seed, f"{split}/pose", [i for i in indices for _ in range(self.frames)])
        people = self.still.attend(poses, replace(frames, crowd=crowd), _chosen(aims, look))
        return replace(repeated(first, self.frames), people=people)

    def render(self, seed: int, split: str, indices: Sequence[int]) -> tuple[UInt8[Tensor, "f 3 H W"], list[Label]]:
        """The pictures of some clips of a split, clip by clip, and a label for everybody in them.

        Args:
            seed: any integer; other seeds give other clips.
            split: any name; splits share no clip.
            indices: numbers of clips, 0 or more, in any order.

        Returns:
            pictures, and labels whose `scene` is clip number * frames + frame.
        """
        scenes = self.scenes(seed, split, indices)
        exposures = self.still.exposures(self._draws(seed, f"{split}/grain", indices))
        each = [_shifted(exposure, frame) for exposure in exposures for frame in range(self.frames)]
        numbers = [index * self.frames + frame for index in indices for frame in range(self.frames)]
        return self.still.expose(scenes, each), labels(scenes, numbers)

    def _draws(self, seed: int, split: str, indices: Sequence[int]) -> Draws:
        return Draws(seed, f"{self.name}/{split}", indices)

    def _away(self, draws: Draws, stage: Stage) -> Bool[Tensor, "b n"]:
        """Who leaves and returns: in some clips the last of several people."""
        present = stage.crowd.present
        last = torch.arange(present.shape[1]) == present.sum(1, keepdim=True) - 1
        return last & (present.sum(1, keepdim=True) > 1) & (draws.uniform(0, 1, 1) < LEAVING)

    def _gone(self) -> Bool[Tensor, "t"]:
        """The frames in which they are away: all others look at the second thing then."""
        frame, length = torch.arange(self.frames), self.frames // LOOKS
        return (frame > length) & (frame < 2 * length)

    def _look(self, draws: Draws, away: Bool[Tensor, "b n"]) -> Int64[Tensor, "bt n"]:
        """Which of their looks each person is at, in each frame; some are a frame late."""
        late = draws.integers(0, 1, 1, away.shape[1])
        frame = torch.arange(self.frames)[None, :, None] - late
        return (frame.clamp_min(0) // (self.frames // LOOKS)).clamp_max(LOOKS - 1).flatten(0, 1)

    def _sway(self, draws: Draws, people: int) -> Float64[Tensor, "bt n 3"]:
        """Where heads are in each frame, from their places, in head radii."""
        start = draws.uniform(0, 2 * math.pi, 1, people, 2)
        pace = draws.uniform(0.5, 1.5, 1, people, 2)  # rounds in a clip
        turn = torch.arange(self.frames)[None, :, None, None] / self.frames * 2 * math.pi
        across, down = (SWAY * (start + pace * turn).sin()).flatten(0, 1).unbind(-1)
        return torch.stack([across, down, 0 * down], -1)


def repeated(record: R, times: int) -> R:
    """The record with every row of its tensors, and of those of the records in it, `times` times."""
    if isinstance(record, Tensor):
        return record.repeat_interleave(times, 0)  # type: ignore[return-value]
    if not is_dataclass(record):
        return record
    return replace(record, **{f.name: repeated(getattr(record, f.name), times) for f in fields(record)})  # type: ignore[type-var,return-value]


def _chosen(aims: Sequence[Aims], look: Int64[Tensor, "bt n"]) -> Aims:
    """The aim of each person in each frame."""
    times = len(look) // len(aims[0].kind)
    every = [repeated(a, times) for a in aims]
    which = look[None]
    return Aims(
        target=torch.stack([a.target for a in every]).gather(0, which[..., None].expand(-1, -1, -1, 3))[0],
        kind=torch.stack([a.kind for a in every]).gather(0, which)[0],
        index=torch.stack([a.index for a in every]).gather(0, which)[0],
    )


def _shifted(exposure: Exposure, frame: int) -> Exposure:
    """The same camera a moment later: other noise."""
    return exposure._replace(
        x=(exposure.x + 7 * frame) % (GRAIN_MARGIN + 1), y=(exposure.y + 11 * frame) % (GRAIN_MARGIN + 1)
    )
