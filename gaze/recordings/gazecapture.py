"""GazeCapture as it is published: a folder of frames and JSON files per recording (Krafka et al., CVPR 2016).

The files are described in the data set's README. Boxes are taken as they are written, never rounded, and no crop
is cut here, so that a box beyond the frame is no black border (the authors' Python) but whatever preparation does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gaze.devices import Device, find_device, load_devices
from gaze.errors import UserError
from gaze.recordings.face_grid import edges, grid_cells, grid_from_one
from gaze.recordings.files import RecordingError, existing_folder, read_columns, read_json, read_subjects, upright_size
from gaze.recordings.motion import read_motion
from gaze.recordings.sample import Box, ScreenSample
from gaze.recordings.screens import HeldScreen

log = logging.getLogger(__name__)

SOURCE = "the GazeCapture download (gazecapture.csail.mit.edu)"
SPLITS = ("train", "val", "test")
BOX = ("X", "Y", "W", "H", "IsValid")
DOT = ("DotNum", "XPts", "YPts", "XCam", "YCam", "Time")
SCREEN = ("W", "H", "Orientation")
DISAGREE = "labels in points and in cm differ"
_FRAME = re.compile(r"([0-9]+)\.(?:jpg|jpeg|png)")

Columns = Mapping[str, Float[np.ndarray, "n"]]


class GazeCapture:
    """Raw recordings. One recording is one subject, as the authors say, unless `subjects` knows better.

    Args:
        root: holds a folder NNNNN per recording.
        exclude: recordings to leave out.
        subjects: a JSON file {recording: subject} where one person made several; None: nobody did.
        devices: a file of own devices, beside conf/devices.yaml.
        min_dot_time_s: earlier frames of a dot are refused; the eyes are still on their way.
        max_label_error_cm: frames whose labels in points and in cm are further apart are refused.
        max_grid_error: cells between the face grid and the face box, beyond which a frame is refused.
    """

    dataset = "gazecapture"
    boxes = "apple"
    finished_crops = False

    def __init__(
        self,
        root: str | Path,
        exclude: Sequence[str] = (),
        subjects: str | Path | None = None,
        devices: str | Path | None = None,
        min_dot_time_s: float = 0.5,
        max_label_error_cm: float = 0.1,
        max_grid_error: int = 1,
    ) -> None:
        self.root = existing_folder(Path(root), "a folder NNNNN per recording", SOURCE)
        self.exclude = frozenset(map(str, exclude))
        self.subjects = read_subjects(subjects)
        self.devices = load_devices(devices)
        self.min_dot_time_s = min_dot_time_s
        self.max_label_error_cm = max_label_error_cm
        self.max_grid_error = max_grid_error

    def recordings(self) -> list[str]:
        """The folders that are named by five digits, but for those left out."""
        names = sorted(p.name for p in self.root.iterdir() if re.fullmatch("[0-9]{5}", p.name) and p.is_dir())
        if not names:
            raise UserError(f"{self.root} has no recording; expected folders 00002, 00003, ... from {SOURCE}")
        return [name for name in names if name not in self.exclude]

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of a recording.

        Raises:
            RecordingError: one of its files is missing or damaged, or its device is not known.
        """
        folder = self.root / recording
        frames = _frames(folder)
        face, left, right, grid = (
            read_columns(folder / f"{name}.json", BOX, len(frames), SOURCE)
            for name in ("appleFace", "appleLeftEye", "appleRightEye", "faceGrid")
        )
        dots = read_columns(folder / "dotInfo.json", DOT, len(frames), SOURCE)
        screen = read_columns(folder / "screen.json", SCREEN, len(frames), SOURCE)
        split, device = self._info(folder)
        motion = read_motion(folder / "motion.json", SOURCE)
        orientation = np.nan_to_num(screen["Orientation"], nan=0, posinf=0, neginf=0).astype(np.int64)
        held = HeldScreen(device, orientation, _pair(dots, "XCam", "YCam"))
        label_error_cm = held.error_cm(_pair(dots, "XPts", "YPts"), _pair(screen, "W", "H"))
        base = ScreenSample(self.dataset, self.subjects.get(recording, recording), recording, frame=0, split=split)
        disagree = 0
        for at, frame in enumerate(frames):
            boxes = [_row(columns, at) for columns in (face, left, right, grid)]
            sample = replace(
                _dot(base, _row(dots, at), _row(screen, at)),
                frame=int(Path(frame).stem),
                picture=folder / "frames" / frame,
                face_box=_box(boxes[0]),
                left_eye_box=_inside(boxes[0], boxes[1]),
                right_eye_box=_inside(boxes[0], boxes[2]),
                # dotInfo counts from when the dot appeared, motion from when its recording began: taken as one
                imu=None if motion is None else motion.at(dots["DotNum"][at], dots["Time"][at]),
            )
            sample = held.place(sample, at)
            reason = _undetected(boxes) or self._unlabelled(sample, label_error_cm[at])
            disagree += reason is not None and reason.startswith(DISAGREE)
            if reason is None:
                assert isinstance(sample.picture, Path)
                sample = replace(sample, frame_size=upright_size(sample.picture))
                reason = self._mismatch(sample, boxes[3])
            yield replace(sample, valid=reason is None, reject_reason=reason)
        if disagree:
            log.warning("%s: %d of %d frames are refused: %s", folder, disagree, len(frames), DISAGREE)

    def _info(self, folder: Path) -> tuple[str, Device]:
        path = folder / "info.json"
        info = read_json(path, "Dataset and DeviceName", SOURCE)
        if not isinstance(info, dict) or not isinstance(info.get("DeviceName"), str):
            raise RecordingError(f"{path} does not say DeviceName; expected such as 'iPhone 6'; restore the file")
        if info.get("Dataset") not in SPLITS:
            expected = ", ".join(SPLITS)
            raise RecordingError(f"{path}: Dataset is {info.get('Dataset')!r}; expected {expected}; restore the file")
        try:
            return info["Dataset"], find_device(info["DeviceName"], self.devices)
        except UserError as error:
            raise RecordingError(f"{path}: {error}") from error

    def _unlabelled(self, sample: ScreenSample, wrong_cm: float) -> str | None:
        if sample.orientation not in (1, 2, 3, 4):
            return "orientation is not 1 to 4"
        if sample.gaze_cam_cm is None:
            return "label is not finite"
        if sample.screen_pt is not None and min(sample.screen_pt) <= 0:
            return "the screen of screen.json has no area"
        if sample.dot_time_s is None or sample.dot_time_s < self.min_dot_time_s:
            return f"dot shown for less than {self.min_dot_time_s:g} s"
        if not wrong_cm <= self.max_label_error_cm:  # NaN too
            return f"{DISAGREE} by more than {self.max_label_error_cm:g} cm"
        return None

    def _mismatch(self, sample: ScreenSample, grid: Mapping[str, float]) -> str | None:
        if sample.frame_size is None:
            return "picture is missing or damaged"
        assert sample.face_box is not None  # of a frame with detections
        written = grid_from_one(grid["X"], grid["Y"], grid["W"], grid["H"])
        expected = grid_cells(sample.face_box, sample.frame_size)
        if np.abs(np.subtract(edges(written), edges(expected))).max() > self.max_grid_error:
            return "face grid and face box disagree"
        return None


def _frames(folder: Path) -> list[str]:
    path = folder / "frames.json"
    frames = read_json(path, "a list of file names", SOURCE)
    bad = frames if not isinstance(frames, list) else [f for f in frames if not _FRAME.fullmatch(str(f))]
    if bad or not isinstance(frames, list):
        found = bad[0] if isinstance(bad, list) else bad
        raise RecordingError(f"{path} holds {found!r}; expected file names such as '00000.jpg'; restore the file")
    return [str(frame) for frame in frames]


def _pair(columns: Columns, *names: str) -> Float[np.ndarray, "n 2"]:
    return np.stack([columns[name] for name in names], -1)


def _finite(*values: float) -> bool:
    return bool(np.isfinite(values).all())


def _dot(base: ScreenSample, dot: Mapping[str, float], screen: Mapping[str, float]) -> ScreenSample:
    """The frame with what screen and dot say beside the label."""
    return replace(
        base,
        screen_pt=(screen["W"], screen["H"]) if _finite(screen["W"], screen["H"]) else None,
        dot_index=int(dot["DotNum"]) if _finite(dot["DotNum"]) else None,
        dot_time_s=dot["Time"] if _finite(dot["Time"]) else None,
    )


def _row(columns: Columns, at: int) -> dict[str, float]:
    return {name: float(column[at]) for name, column in columns.items()}


def _undetected(boxes: Sequence[Mapping[str, float]]) -> str | None:
    face, left, right, grid = boxes
    if face["IsValid"] != 1:
        return "the device found no face"
    if left["IsValid"] != 1 or right["IsValid"] != 1:
        return "the device did not find both eyes"
    if grid["IsValid"] != 1:
        return "face grid is not valid"
    if any(_box(box) is None for box in boxes):
        return "a box is empty or not finite"
    return None


def _box(row: Mapping[str, float]) -> Box | None:
    box = row["X"], row["Y"], row["W"], row["H"]
    usable = row["IsValid"] == 1 and _finite(*box) and min(box[2:]) > 0
    return box if usable else None


def _inside(face: Mapping[str, float], eye: Mapping[str, float]) -> Box | None:
    """The box in the frame; the file counts from the face's corner."""
    outer, inner = _box(face), _box(eye)
    return None if outer is None or inner is None else (outer[0] + inner[0], outer[1] + inner[1], *inner[2:])
