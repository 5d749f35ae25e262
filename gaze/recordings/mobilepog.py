"""MobilePoG: phones held still in 12 poses, or moved around while one point is looked at (Zhao et al., BMVC 2025).

A folder `{subject}_{pose}` (Static) or `{subject}_{point}` (Dynamic) per recording. Certain, from the authors' loader:
the files, frames named by five digits, label.json's label_x, label_y, row and col, face.json's *_bbox with corners in
px, headpose.json's pitch, yaw and roll, info.json's subject, dataset, and pose or point; a grid of 11 x 5 points, whose
rows run along the screen's long side in directions 1 and 3. Inferred, from the same code training on GazeCapture too:
labels are cm in prediction space, y up, as the user sees the device, and `leye` is the user's left eye.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gaze.devices import find_device, load_devices
from gaze.errors import UserError
from gaze.recordings.files import RecordingError, existing_folder, read_json, upright_size
from gaze.recordings.sample import Box, ScreenSample
from gaze.recordings.screens import HeldScreen

SOURCE = "the MobilePoG download (huggingface.co/datasets/HomieZ/MobilePoG)"
HOLDS = "folders {subject}_{pose} or {subject}_{point}, of Static-MobilePoG or Dynamic-MobilePoG"
BOXES = {"face_box": "face_bbox", "left_eye_box": "leye_bbox", "right_eye_box": "reye_bbox"}
SPLITS = ("train", "val", "test")
COLUMNS = 5  # of the Static grid, held upright; lying, it has as many rows
_FRAME = re.compile(r"[0-9]+")


class MobilePoG:
    """Recordings of one of the two parts.

    Args:
        root: the folder Static-MobilePoG or Dynamic-MobilePoG.
        device: the phone, of conf/devices.yaml or `devices`, which the files don't name; null: unknown, and with it
            the screen.
        devices: a file of own devices.
        y_up: whether label_y grows upwards.
        left_is_users: whether `leye` is the user's left eye; else it is the eye on the picture's left.
    """

    dataset = "mobilepog"
    boxes = "mobilepog"
    finished_crops = False

    def __init__(
        self,
        root: str | Path,
        device: str | None = None,
        devices: str | Path | None = None,
        y_up: bool = True,
        left_is_users: bool = True,
    ) -> None:
        self.root = existing_folder(Path(root), HOLDS, SOURCE)
        self.device = None if device is None else find_device(device, load_devices(devices))
        self.y_up = y_up
        self.left_is_users = left_is_users

    def recordings(self) -> list[str]:
        """The folders that hold frames."""
        names = sorted(p.name for p in self.root.iterdir() if (p / "frames").is_dir())
        if not names:
            raise UserError(f"{self.root} holds no recording; expected {HOLDS}, each with frames, from {SOURCE}")
        return names

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of a recording.

        Raises:
            RecordingError: one of its files is missing or damaged, or its labels don't lie as its pose says.
        """
        folder = self.root / recording
        info = _table(folder / "info.json", "subject, dataset, and pose or point")
        labels = _frames(folder / "label.json", "label_x, label_y in cm, row and col")
        faces = _frames(folder / "face.json", "face_bbox, leye_bbox and reye_bbox in px")
        poses = _frames(folder / "headpose.json", "pitch, yaw and roll")
        if missing := [frame for frame in labels if frame not in faces]:
            raise RecordingError(f"{folder}/face.json lacks frame {missing[0]} of label.json; restore both files")
        points = np.array([self._point(label) for label in labels.values()], dtype=np.float64).reshape(-1, 2)
        orientation = _orientation(folder, info, points)
        held = None
        if self.device is not None:
            held = HeldScreen(self.device, np.full(len(points), orientation), points)
        base = ScreenSample(
            self.dataset,
            str(info["subject"]),
            recording,
            frame=0,
            split=_split(folder, info),
            session=_place(info),
            device_kind="phone",
            orientation=orientation,
            camera_K=_intrinsics(folder),
        )
        for at, (frame, label) in enumerate(labels.items()):
            picture = folder / "frames" / f"{frame}.jpg"
            boxes = self._boxes(faces[frame])
            sample = replace(
                base,
                frame=int(frame),
                picture=picture,
                gaze_cam_cm=_known(points[at]),
                dot_index=_dot(info, label),
                frame_size=upright_size(picture),
                attrs=_attrs(label, poses.get(frame, {})),
                **boxes,
            )
            sample = sample if held is None else held.place(sample, at)
            reason = _reason(sample)
            yield replace(sample, valid=reason is None, reject_reason=reason)

    def _point(self, label: Mapping[str, Any]) -> tuple[float, float]:
        x, y = _number(label.get("label_x")), _number(label.get("label_y"))
        return x, y if self.y_up else -y

    def _boxes(self, face: Mapping[str, Any]) -> dict[str, Any]:
        boxes = {name: _box(face.get(key)) for name, key in BOXES.items()}
        if not self.left_is_users:
            boxes["left_eye_box"], boxes["right_eye_box"] = boxes["right_eye_box"], boxes["left_eye_box"]
        return boxes


def _table(path: Path, holds: str) -> dict[str, Any]:
    table = read_json(path, holds, SOURCE)
    if not isinstance(table, dict):
        raise RecordingError(f"{path} holds a {type(table).__name__}; expected {holds}; restore the file")
    return table


def _frames(path: Path, holds: str) -> dict[str, Mapping[str, Any]]:
    """What a file says of each frame, in their order."""
    table = _table(path, f"for each frame, such as '00000', {holds}")
    for frame, facts in table.items():
        if not _FRAME.fullmatch(frame) or not isinstance(facts, Mapping):
            raise RecordingError(f"{path} has {frame!r}: {facts!r}; expected frames such as '00000' with {holds}")
    return dict(sorted(table.items()))


def _split(folder: Path, info: Mapping[str, Any]) -> str:
    if info.get("dataset") not in SPLITS or "subject" not in info:
        raise RecordingError(
            f"{folder}/info.json says subject {info.get('subject')!r} and dataset {info.get('dataset')!r}; expected a "
            f"subject, and one of {', '.join(SPLITS)}; restore the file"
        )
    return str(info["dataset"])


def _place(info: Mapping[str, Any]) -> str:
    return f"pose {info['pose']}" if "pose" in info else f"point {info.get('point', info.get('pog'))}"


def _orientation(folder: Path, info: Mapping[str, Any], points: np.ndarray) -> int:
    """The interface's orientation: from the pose whether the phone lies, from the labels to which side.

    A pose is `direction_number`: the screen stands in directions 1 and 3 and lies in 2 and 4. The authors don't say
    which 2 and 4 are; the camera is at the end of the phone that the labels are away from.
    """
    if "pose" not in info:
        return 1  # moved around, held upright
    direction = re.fullmatch("([1-4])_[0-9]+", str(info["pose"]))
    if direction is None:
        raise RecordingError(f"{folder}/info.json: pose is {info['pose']!r}; expected such as '1_2'; restore the file")
    known = points[np.isfinite(points).all(1)]
    if not len(known):
        return 1 if direction[1] in "13" else 3
    x, y = known.mean(0)
    stands = direction[1] in "13"
    if len(known) > 1 and np.ptp(known, axis=0).min() > 0 and (abs(y) > abs(x)) != stands:
        raise RecordingError(
            f"{folder}: pose {info['pose']} means a phone that {'stands' if stands else 'lies'}, and its labels are "
            f"around ({x:.1f}, {y:.1f}) cm from the camera; expected labels turned with the screen; leave it out"
        )
    return (1 if y <= 0 else 2) if stands else (3 if x > 0 else 4)


def _dot(info: Mapping[str, Any], label: Mapping[str, Any]) -> int | None:
    """The point's number: that of a Dynamic recording, or its place in the Static grid, row by row."""
    point = info.get("point", info.get("pog"))
    if point is not None and str(point).isdecimal():
        return int(point)
    row, column = _number(label.get("row")), _number(label.get("col"))
    if not np.isfinite((row, column)).all():
        return None
    stands = str(info.get("pose", "1"))[0] in "13"
    return int(row * (COLUMNS if stands else 11) + column)


def _attrs(label: Mapping[str, Any], pose: Mapping[str, Any]) -> dict[str, str]:
    facts = {key: label[key] for key in ("row", "col") if key in label}
    return {key: str(value) for key, value in facts.items()} | {
        f"head_{key}": str(pose[key]) for key in ("pitch", "yaw", "roll") if key in pose
    }


def _intrinsics(folder: Path) -> tuple[float, float, float, float] | None:
    """fx, fy, cx, cy px of camera.json, whose keys are not published: of those names, or of a 3 x 3 matrix in it."""
    camera = _table(folder / "camera.json", "the camera's parameters")
    if all(key in camera for key in ("fx", "fy", "cx", "cy")):
        return tuple(_number(camera[key]) for key in ("fx", "fy", "cx", "cy"))  # type: ignore[return-value]
    for value in camera.values():
        if isinstance(value, list) and np.shape(np.array(value, dtype=object)) == (3, 3):
            return _number(value[0][0]), _number(value[1][1]), _number(value[0][2]), _number(value[1][2])
    return None


def _box(corners: Any) -> Box | None:
    """x, y, w, h of x0, y0, x1, y1."""
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    x0, y0, x1, y1 = map(_number, corners)
    usable = np.isfinite((x0, y0, x1, y1)).all() and x1 > x0 and y1 > y0
    return (x0, y0, x1 - x0, y1 - y0) if usable else None


def _reason(sample: ScreenSample) -> str | None:
    if sample.gaze_cam_cm is None:
        return "label is not finite"
    if None in (sample.face_box, sample.left_eye_box, sample.right_eye_box):
        return "a box is missing, empty or not finite"
    return None if sample.frame_size else "picture is missing or damaged"


def _known(point: np.ndarray) -> tuple[float, float] | None:
    return (float(point[0]), float(point[1])) if np.isfinite(point).all() else None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
