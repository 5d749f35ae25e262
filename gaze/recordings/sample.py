"""One frame of a person who looked at a known point: what every reader gives, and one row of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from gaze.label_units import CM

LABEL_UNIT = "label_unit"  # attribute of frames whose labels are not in cm: a row of gaze.label_units.UNITS
Picture = Path | bytes
Pair = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ScreenSample:
    """What is known of one frame. Names, units and frames are those of the table (gaze/recordings/schema.py).

    What a data set does not say is None; preparation derives what follows from the rest, such as
    `gaze_cam_cm` from `gaze_screen_cm` and the device. Boxes are (x, y, w, h) in pixels of the upright frame
    and may leave it. Left and right are the user's own.
    """

    dataset: str
    subject: str  # the unit of splits; one person's recordings share it
    recording: str
    frame: int
    split: str = "unused"  # train, val, test, calib or unused
    session: str | None = None
    valid: bool = True
    reject_reason: str | None = None

    picture: Picture | None = None  # the whole frame, a file or its bytes
    face: Picture | None = None  # crops that exist already
    left_eye: Picture | None = None
    right_eye: Picture | None = None
    frame_size: tuple[int, int] | None = None  # (width, height) px, upright
    frame_rotation: int = 0  # degrees counter-clockwise that make the sensor's image upright: 0, 90, 180, 270
    face_box: Box | None = None
    left_eye_box: Box | None = None
    right_eye_box: Box | None = None
    face_score: float | None = None
    landmarks: np.ndarray | None = None  # [478, 3]: x, y as fractions of the frame, z in units of x; NaN missing
    blendshapes: np.ndarray | None = None  # [52]
    head_pose: np.ndarray | None = None  # [6]: Rodrigues vector and translation cm, camera frame
    head_distance_cm: float | None = None
    distance_source: str | None = None  # measured or estimated
    camera_K: tuple[float, float, float, float] | None = None  # fx, fy, cx, cy px
    imu: np.ndarray | None = None  # [9]: gravity (g), rotation rate (rad/s), user acceleration (g)

    device: str | None = None  # a name of conf/devices.yaml
    device_kind: str | None = None  # phone, tablet, laptop or desktop
    orientation: int = 1  # of the interface, 1 to 4
    screen_px: tuple[int, int] | None = None  # width, height in this orientation, as the next two
    screen_pt: Pair | None = None
    screen_cm: Pair | None = None
    cam_to_screen_cm: Pair | None = None  # portrait-native offset (dX, dY) of the screen's corner

    gaze_screen_px: Pair | None = None  # from the screen's top left, x right, y down
    gaze_screen_cm: Pair | None = None
    gaze_cam_cm: Pair | None = None  # prediction space: from the camera, x right, y up; the label of training
    gaze_pitchyaw: Pair | None = None  # radians
    gaze_vector: tuple[float, float, float] | None = None  # camera frame, like the next
    gaze_origin_cm: tuple[float, float, float] | None = None
    dot_index: int | None = None
    dot_time_s: float | None = None  # since the dot appeared
    is_calib_dot: bool = False
    timestamp_s: float | None = None
    weight: float = 1.0
    attrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def sample_id(self) -> str:
        """The key of the row."""
        return f"{self.dataset}/{self.recording}/{self.frame:05d}"

    @property
    def label_unit(self) -> str:
        """What `gaze_cam_cm` is in, whatever its name says: labels without a screen's size stay what they were."""
        return self.attrs.get(LABEL_UNIT, CM)


@runtime_checkable
class Reader(Protocol):
    """Reads one public format, recording by recording."""

    dataset: str  # name that rows have
    boxes: str  # where boxes come from: apple, facemesh, landmarks, ...
    finished_crops: bool  # whether it gives crops that somebody has cut, rather than frames to cut them from

    def recordings(self) -> Sequence[str]:
        """Names of all recordings, in a fixed order, without reading them."""
        ...

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of one recording, in order; unusable ones with `valid` false and the reason."""
        ...
