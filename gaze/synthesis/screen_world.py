"""The world of screens: people with habits who look at known points of phones and tablets, seen by the front camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gaze.recordings.margins import LARGEST, stored_side
from gaze.recordings.sample import ScreenSample
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_boxes import boxes_of, jittered
from gaze.synthesis.face_exposure import GRAIN, expose
from gaze.synthesis.face_renderer import render_faces
from gaze.synthesis.screen_devices import choose_devices
from gaze.synthesis.screen_labels import screen_samples
from gaze.synthesis.screen_sessions import Habits, Shots, draw_shots
from gaze.synthesis.screen_targets import LAYOUTS

SPLITS = ("train", "val", "test")
CHUNK_PIXELS = 80_000  # rendered at once: the planes of so many stay in a core's cache
JPEG = "jpeg"
FORMATS = ("png", JPEG)


class Crops(NamedTuple):
    """The pictures of some samples."""

    face: UInt8[Tensor, "b 3 F F"]
    left_eye: UInt8[Tensor, "b 3 E E"]
    right_eye: UInt8[Tensor, "b 3 E E"]


class ScreenWorld:
    """Synthetic screen recordings; each sample is a function of (seed, split, index) and of nothing else.

    Args:
        face_size, eye_size: of the square boxes of crops, px; at least 16.
        frames: samples of each person, for each split.
        session: samples between two changes of device, place and light; a grid of dots sets its own number.
        devices: names of those in use, virtual ones (`gaze/synthesis/screen_devices.py`) or of the device table; null:
            all virtual ones.
        portrait_only: else phones are also held sideways, and tablets any way.
        targets: `uniform` over the screen, dots `3x3`, `13` or `5x11`, or a smooth `pursuit`.
        frames_per_dot: of a grid.
        kappa_scale: how much people differ in what no picture shows; 1 as in life, 0 not at all.
        glasses: share of people who wear them.
        closed: share of frames with closed eyes, marked as not valid.
        refraction: show irises as through a cornea.
        focal_spread: how much the focal lengths of devices differ, a part.
        blur: most blur, px of the crop.
        gamma: most that a camera's gamma differs from 1.
        format: of the crops, png or jpeg (quality 92, colours at full resolution).
        margin: how far crops reach beyond their boxes on each side, as a fraction of the box; crops are larger by it.

    Raises:
        ValueError: an argument is out of range.
        UserError: a device is not known.
    """

    name = "screen"

    def __init__(
        self,
        face_size: int = 40,
        eye_size: int = 40,
        frames: Mapping[str, int] | None = None,
        session: int = 10,
        devices: Sequence[str] | None = None,
        portrait_only: bool = False,
        targets: str = "uniform",
        frames_per_dot: int = 1,
        kappa_scale: float = 1.0,
        glasses: float = 0.3,
        closed: float = 0.02,
        refraction: bool = False,
        focal_spread: float = 0.0,
        blur: float = 0.0,
        gamma: float = 0.0,
        format: str = "png",
        margin: float = 0.2,
    ) -> None:
        self.frames = dict(frames or {"train": 130, "val": 100, "test": 100})
        _check_sizes({"face_size": face_size, "eye_size": eye_size}, 16, 512)
        _check_shares({"margin": margin}, LARGEST)
        self.sides = stored_side(face_size, margin), stored_side(eye_size, margin)
        if max(self.sides) > GRAIN:
            raise ValueError(
                f"face_size and eye_size are {face_size} and {eye_size}, which a margin of {margin:g} makes {max(self.sides)} "
                f"px; expected at most {GRAIN} px with the margin"
            )
        _check_sizes({"session": session, "frames_per_dot": frames_per_dot}, 1, 10_000)
        _check_sizes({f"frames.{split}": n for split, n in self.frames.items()}, 1, 1_000_000)
        if set(self.frames) != set(SPLITS):
            raise ValueError(f"frames names {', '.join(self.frames)}; expected {', '.join(SPLITS)}")
        _check_shares({"glasses": glasses, "closed": closed}, 1.0)
        _check_shares({"focal_spread": focal_spread, "gamma": gamma}, 0.5)
        _check_shares({"kappa_scale": kappa_scale, "blur": blur}, 5.0)
        if targets not in LAYOUTS:
            raise ValueError(f"targets is {targets!r}; expected one of {', '.join(LAYOUTS)}")
        if format not in FORMATS:
            raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}")
        self.face_size, self.eye_size, self.margin = face_size, eye_size, margin
        self.format, self.refraction = format, refraction
        self.devices = choose_devices(devices)
        self.habits = Habits(
            devices=self.devices,
            portrait_only=portrait_only,
            targets=targets,
            session=session,
            frames_per_dot=frames_per_dot,
            kappa_scale=kappa_scale,
            glasses=glasses,
            closed=closed,
            focal_spread=focal_spread,
            blur=blur,
            gamma=gamma,
        )

    def parameters(self) -> dict[str, object]:
        """Everything that decides the samples, with defaults filled in; for the record."""
        own = ("face_size", "eye_size", "margin", "frames", "format", "refraction")
        habits = {name: value for name, value in vars(self.habits).items() if name != "devices"}
        return {**{name: getattr(self, name) for name in own}, **habits, "devices": [d.name for d in self.devices]}

    def shots(self, seed: int, split: str, indices: Sequence[int]) -> Shots:
        """The truth of some samples: person index // frames[split], in the order in which they were recorded."""
        return draw_shots(self.habits, seed, split, self.frames[split], max(self.sides), indices)

    def boxes(self, shots: Shots, seed: int, split: str, indices: Sequence[int]) -> Tensor:
        """(x, y, w, h) px of face, left eye and right eye, [b 3 4], as a detector finds them."""
        return jittered(boxes_of(shots.faces), Draws(seed, f"{self.name}/{split}/boxes", indices))

    def crops(self, shots: Shots, boxes: Tensor) -> Crops:
        """The pictures of samples in boxes [b 3 4], and of the margin around."""
        face, eye = self.sides
        sizes = (face, eye, eye)
        boxes = torch.cat([boxes[..., :2] - self.margin * boxes[..., 2:], boxes[..., 2:] * (1 + 2 * self.margin)], -1)
        pictures = []
        for crop, size in enumerate(sizes):
            step = max(1, CHUNK_PIXELS // (size * size))
            parts = [slice(start, start + step) for start in range(0, len(boxes), step)]
            rendered = [render_faces(shots.faces.rows(p), boxes[p, crop], size, self.refraction).image for p in parts]
            exposures = [shots.exposure.map(lambda t, p=p: t[p]) for p in parts]  # type: ignore[misc]
            pictures.append(torch.cat([expose(i, e, crop) for i, e in zip(rendered, exposures, strict=True)]))
        return Crops(*pictures)

    def render(self, seed: int, split: str, indices: Sequence[int]) -> list[ScreenSample]:
        """Some samples of a split, pictures and all that is known of them.

        Args:
            seed: any integer; other seeds give other people.
            split: train, val or test; splits share no person.
            indices: numbers of samples, 0 or more, in any order.
        """
        shots = self.shots(seed, split, indices)
        boxes = self.boxes(shots, seed, split, indices)
        crops = [[self._encode(p) for p in stream] for stream in self.crops(shots, boxes)]
        return screen_samples(shots, boxes, crops, self.devices, split)

    def _encode(self, picture: UInt8[Tensor, "3 H W"]) -> bytes:
        buffer = BytesIO()
        image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
        if self.format == JPEG:
            image.save(buffer, "JPEG", quality=92, subsampling=0)
        else:
            image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def _check_sizes(values: Mapping[str, int], least: int, most: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} is {value!r}; expected a whole number from {least} to {most}")


def _check_shares(values: Mapping[str, float], most: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= most:
            raise ValueError(f"{name} is {value}; expected a number from 0 to {most:g}")
