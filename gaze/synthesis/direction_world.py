"""The world of directions: people whose heads and eyes point anywhere that a camera in front of them can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.synthesis.direction_light import covered, darkened
from gaze.synthesis.direction_motions import Clips, Ranges
from gaze.synthesis.direction_shots import FOCAL_PX, Habits, Shots, draw_shots
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_boxes import boxes_of, jittered
from gaze.synthesis.face_exposure import GRAIN, expose
from gaze.synthesis.face_renderer import render_faces

SPLITS = ("train", "val", "test")
EYE_PX = (36, 60)  # height and width of the crops of eyes, as GazeHub has them
CHUNK_PIXELS = 80_000  # rendered at once: the planes of so many stay in a core's cache
NOISE, BLUR, HIDDEN = (
    (0.01, 0.05),
    (0.0, 0.02),
    (0.0, 0.15),
)  # of an easy and of a hard world; blur in sides of the face


class Crops(NamedTuple):
    """The pictures of some samples, or of one."""

    face: UInt8[Tensor, "*b 3 F F"]
    left_eye: UInt8[Tensor, "*b 3 36 60"] | None  # None in a world without pictures of eyes
    right_eye: UInt8[Tensor, "*b 3 36 60"] | None

    def of(self, row: int) -> Crops:
        """The pictures of one sample."""
        return Crops(*(None if stream is None else stream[row] for stream in self))  # type: ignore[arg-type]


class DirectionWorld:
    """Synthetic faces with 3D gaze; each sample is a function of (seed, split, index) and of nothing else.

    Args:
        size: of the faces, px; at least 16.
        eyes: make pictures of the eyes, too; without them a world is drawn and written twice as fast.
        difficulty: 0 (easy) to 1 (hard): decides what is null of noise, blur and hidden.
        frames: samples of each person, for each split.
        session: samples between two changes of light and background.
        clips: makes sessions clips in which heads and eyes move smoothly; null: poses are independent.
        normalised: faces as a camera sees them that turned to them (960 px focal length at 60 cm, Zhang et al. 2018), so
            that no head is rolled; else people sit beside the camera's axis, tilt their heads, and boxes are a
            detector's, as in Gaze360. Gaze is in the frame of that camera, or else in that of the ray to the eyes.
        face_cm: what a crop of a face shows, at the face.
        frontal_deg: most yaw of a frontal head, to each side; see `Ranges` for this and the next ones.
        turned_deg: least and most yaw of a turned head.
        turned: share of turned heads.
        head_pitch_deg, roll_deg, eye_yaw_deg, eye_pitch_deg: most, to each side.
        aside_deg: how far people sit beside the axis of a camera that is not turned to them.
        kappa_scale: how much people differ in what no picture shows; 1 as in life, 0 not at all.
        glasses: share of people who wear them.
        noise: most deviation of the noise; white is 1.
        blur: most blur, parts of the face's side.
        hidden: share of samples whose eyes are behind a hand.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "direction"

    def __init__(
        self,
        size: int = 224,
        eyes: bool = True,
        difficulty: float = 0.0,
        frames: Mapping[str, int] | None = None,
        session: int = 10,
        clips: Clips | None = None,
        normalised: bool = True,
        face_cm: float = 14.0,
        frontal_deg: float = 12.0,
        turned_deg: Sequence[float] = (20.0, 34.0),
        turned: float = 0.4,
        head_pitch_deg: float = 12.0,
        roll_deg: float = 20.0,
        eye_yaw_deg: float = 18.0,
        eye_pitch_deg: float = 12.0,
        aside_deg: float = 12.0,
        kappa_scale: float = 1.0,
        glasses: float = 0.3,
        noise: float | None = None,
        blur: float | None = None,
        hidden: float | None = None,
    ) -> None:
        self.frames = dict(frames or {"train": 40, "val": 40, "test": 40})
        if set(self.frames) != set(SPLITS):
            raise ValueError(f"frames names {', '.join(self.frames)}; expected {', '.join(SPLITS)}")
        _check_numbers({"size": size}, 16, GRAIN)
        _check_numbers({"session": session, **{f"frames.{s}": n for s, n in self.frames.items()}}, 1, 1_000_000)
        shares = {"difficulty": difficulty, "glasses": glasses, "hidden": hidden or 0.0}
        _check_range({**shares, "noise": noise or 0.0, "blur": blur or 0.0}, 0, 1)
        _check_range({"kappa_scale": kappa_scale}, 0, 5)
        _check_range({"face_cm": face_cm}, 8, 40)
        _check_range({"aside_deg": aside_deg}, 0, 40)
        if len(turned_deg) != 2:
            raise ValueError(f"turned_deg is {list(turned_deg)}; expected the least and the most, degrees")
        if clips is not None:
            _check_clips(self.frames, clips)
        self.size, self.eyes, self.clips = size, eyes, clips
        self.habits = Habits(
            ranges=Ranges(
                frontal_deg=frontal_deg,
                turned_deg=(turned_deg[0], turned_deg[1]),
                turned=turned,
                head_pitch_deg=head_pitch_deg,
                roll_deg=roll_deg,
                eye_yaw_deg=eye_yaw_deg,
                eye_pitch_deg=eye_pitch_deg,
            ),
            clips=clips,
            session=session if clips is None else clips.length,
            normalised=normalised,
            face_cm=face_cm,
            aside_deg=aside_deg,
            kappa_scale=kappa_scale,
            glasses=glasses,
            noise=_between(NOISE, difficulty) if noise is None else noise,
            blur=size * (_between(BLUR, difficulty) if blur is None else blur),
            hidden=_between(HIDDEN, difficulty) if hidden is None else hidden,
        )

    def parameters(self) -> dict[str, object]:
        """Everything that decides the samples, with defaults filled in; for the record."""
        own = asdict(self.habits)
        own["ranges"]["turned_deg"] = list(own["ranges"]["turned_deg"])
        return {"size": self.size, "eyes": self.eyes, "frames": self.frames, **own}

    def shots(self, seed: int, split: str, indices: Sequence[int]) -> Shots:
        """The truth of some samples, those among them that the camera lost: person index // frames[split]."""
        return draw_shots(self.habits, self.name, seed, split, self.frames[split], max(self.size, *EYE_PX), indices)

    def boxes(self, shots: Shots, seed: int, split: str) -> Float[Tensor, "b 3 4"]:
        """(x, y, w, h) px of the camera's frame: face, left eye and right eye."""
        boxes = boxes_of(shots.faces)
        height = boxes[:, 1:, 2] * EYE_PX[0] / EYE_PX[1]
        boxes[:, 1:, 1] += (boxes[:, 1:, 3] - height) / 2
        boxes[:, 1:, 3] = height
        view = shots.faces.view
        if self.habits.normalised:
            boxes[:, 0] = torch.cat([view.centre - view.size / 2, view.size], -1)
            return boxes
        side = (FOCAL_PX * self.habits.face_cm / shots.faces.position[:, 2:]).expand(-1, 2)
        face = torch.cat([boxes[:, 0, :2] + (boxes[:, 0, 2:] - side) / 2, side], -1)
        found = jittered(face[:, None], Draws(seed, f"{self.name}/{split}/boxes", shots.index.tolist()))
        return torch.cat([found, boxes[:, 1:]], 1)

    def crops(self, shots: Shots, boxes: Float[Tensor, "b 3 4"]) -> Crops:
        """The pictures of samples in their boxes."""
        face = self._pictures(shots, boxes, 0, (self.size, self.size))
        left, right = (self._pictures(shots, boxes, crop, EYE_PX) if self.eyes else None for crop in (1, 2))
        return Crops(face, left, right)

    def render(self, seed: int, split: str, indices: Sequence[int]) -> tuple[Shots, Crops]:
        """Some samples of a split, but for those that the camera lost.

        Args:
            seed: any integer; other seeds give other people.
            split: train, val or test; splits share no person.
            indices: numbers of samples, 0 or more, in any order.
        """
        shots = self.shots(seed, split, indices)
        shots = shots.rows(~shots.dropped)
        return shots, self.crops(shots, self.boxes(shots, seed, split))

    def _pictures(self, shots: Shots, boxes: Tensor, crop: int, size: tuple[int, int]) -> UInt8[Tensor, "b 3 H W"]:
        step = max(1, CHUNK_PIXELS // (size[0] * size[1]))
        parts = [slice(start, start + step) for start in range(0, len(boxes), step)]
        seen = [self._picture(shots.rows(part), boxes[part], crop, size) for part in parts]
        return torch.cat(seen) if seen else torch.zeros(0, 3, *size, dtype=torch.uint8)

    def _picture(self, shots: Shots, boxes: Tensor, crop: int, size: tuple[int, int]) -> UInt8[Tensor, "b 3 H W"]:
        rendered = render_faces(shots.faces, boxes[:, crop], size)
        image = darkened(rendered.image, rendered.head, shots.shadow, boxes[:, crop], boxes[:, 0])
        image = covered(image, shots.faces, shots.hidden, boxes[:, crop], boxes[:, 0])
        return expose(image, shots.exposure, crop)


def _between(limits: tuple[float, float], difficulty: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * difficulty


def _check_numbers(values: Mapping[str, int], least: int, most: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def _check_range(values: Mapping[str, float], least: float, most: float) -> None:
    for name, value in values.items():
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}; expected a number from {least:g} to {most:g}")


def _check_clips(frames: Mapping[str, int], clips: Clips) -> None:
    for split, count in frames.items():
        if count % clips.length:
            raise ValueError(f"frames.{split} is {count}; expected whole clips of {clips.length} frames")
