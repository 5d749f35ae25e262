"""A few frames with small random pictures, as a reader gives them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from gaze.recordings.sample import ScreenSample

SPLITS = {"anna": "train", "ben": "train", "cleo": "val", "dan": "test"}


def jpeg(seed: int, size: tuple[int, int] = (24, 32)) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def sample(subject: str = "anna", frame: int = 0, **changes) -> ScreenSample:
    """A frame of a phone held upright, with all that a table can hold."""
    draws = np.random.default_rng(frame)
    x, y = float(draws.uniform(0.5, 5)), float(draws.uniform(1, 10))
    known = {
        "dataset": "mini",
        "subject": subject,
        "recording": f"{subject}-1",
        "frame": frame,
        "split": SPLITS.get(subject, "unused"),
        "face": jpeg(frame),
        "left_eye": jpeg(frame + 1),
        "right_eye": jpeg(frame + 2),
        "frame_size": (480, 640),
        "face_box": (100.0, 150.5, 250.0, 250.0),
        "left_eye_box": (240.0, 200.0, 60.0, 60.0),
        "right_eye_box": (140.0, 200.0, 60.0, 60.0),
        "face_score": 0.5,
        "landmarks": np.full((478, 3), 0.25, np.float32),
        "imu": np.arange(9, dtype=np.float32),
        "device": "iPhone 6",
        "device_kind": "phone",
        "orientation": 1,
        "screen_px": (750, 1334),
        "screen_pt": (375.0, 667.0),
        "screen_cm": (5.85, 10.405),
        "cam_to_screen_cm": (1.861, 0.803),
        "gaze_screen_cm": (x, y),
        "gaze_cam_cm": (x - 1.861, -0.803 - y),
        "dot_index": frame // 4,
        "dot_time_s": 0.75,
        "timestamp_s": frame / 30,
        "attrs": {"glasses": "no"},
    }
    return ScreenSample(**(known | changes))


def recording(subject: str, frames: int = 8, **changes) -> list[ScreenSample]:
    return [sample(subject, frame, **changes) for frame in range(frames)]


class MiniatureReader:
    """A reader of nothing: makes its recordings up."""

    dataset = "mini"
    boxes = "made up"
    finished_crops = True

    def __init__(self, frames: int = 8) -> None:
        self.frames = frames

    def recordings(self) -> list[str]:
        return [f"{subject}-1" for subject in SPLITS]

    def read(self, recording: str) -> Iterator[ScreenSample]:
        for frame in range(self.frames):
            yield sample(recording.removesuffix("-1"), frame)
