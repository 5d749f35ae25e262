"""Label files of the GazeHub scripts for points on screens: a header, and a line of words per picture (Cheng et al., 2021).

Two headers exist. GazeCapture's: Face Left Right Grid Xcam,Ycam Xdot,Ydot Device. MPIIFaceGaze's: Face Left Right Grid
Origin whicheye 2DPoint HeadRot HeadTrans ratio FaceCorner LeftEyeCorner RightEyeCorner. Columns are found by name.

Traps of the scripts. Their reader for MPIIFaceGaze multiplies px by mm/px and 0.01, which is decimetres, and prints
"mm" beside values in cm; here it is cm. Their Left is the eye on the picture's left there, and the user's left in
GazeCapture. Their grid pictures hold 0 and 1 in a JPEG, counted from the wrong cell or of the screen's size: not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gaze.datasets.paths import PathError, inside
from gaze.devices import Device, find_device, load_devices
from gaze.errors import UserError
from gaze.recordings.files import RecordingError, existing_folder, read_text, upright_size
from gaze.recordings.folds import fold_of
from gaze.recordings.sample import Box, Pair, ScreenSample
from gaze.recordings.screens import HeldScreen

SOURCE = "the GazeHub scripts for 2D gaze (phi-ai.buaa.edu.cn/Gazehub)"
SPLITS = ("train", "val", "test")
CROPS = ("face", "left", "right")
PHONES = (*CROPS, "xcam,ycam", "xdot,ydot", "device")
LAPTOPS = (*CROPS, "origin", "2dpoint", "headtrans", "ratio", "facecorner", "lefteyecorner", "righteyecorner")

Row = dict[str, str]


class GazeHub2D:
    """The label files below Label, each of one person, and the crops below Image.

    GazeCapture's lines lack the interface's orientation; it is the one in which points and cm are of one place.
    MPIIFaceGaze's label counts from the screen's top left, as if the camera sat there.

    Args:
        root: holds the folders Label and Image.
        fold: the person, from 0, who is the test split, where labels are not in folders train, val and test; null:
            everybody is in train.
        val_people: how many people after that one are validated on.
        originals: MPIIFaceGaze's pictures, p00 and so on, whose sizes make boxes comparable; null: boxes in px only.
        devices: a file of own devices, beside conf/devices.yaml.
        max_label_error_cm: between GazeCapture's points and cm; beyond, no orientation fits.
    """

    dataset = "gazehub_2d"
    boxes = "gazehub"
    finished_crops = True

    def __init__(
        self,
        root: str | Path,
        fold: int | None = None,
        val_people: int = 0,
        originals: str | Path | None = None,
        devices: str | Path | None = None,
        max_label_error_cm: float = 0.1,
    ) -> None:
        self.root = existing_folder(Path(root), "the folders Label and Image", SOURCE)
        self.files = _label_files(existing_folder(self.root / "Label", "a file per person", SOURCE))
        self.split = {name: path.parent.name for name, path in self.files.items() if path.parent.name in SPLITS}
        if len(self.split) < len(self.files):
            self.split = fold_of(list(self.files), fold, val_people)
        elif fold is not None:
            raise UserError(f"fold is {fold}, and {self.root}/Label is split into {', '.join(SPLITS)}; expected null")
        self.originals = None if originals is None else existing_folder(Path(originals), "p00 to p14", "MPIIFaceGaze")
        self.devices = load_devices(devices)
        self.max_label_error_cm = max_label_error_cm

    def recordings(self) -> list[str]:
        """The people."""
        return list(self.files)

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The pictures of a person.

        Raises:
            RecordingError: the file is missing or damaged, or names a device that is not known.
        """
        path = self.files[recording]
        rows = read_rows(path)
        base = ScreenSample(self.dataset, recording, recording, frame=0, split=self.split[recording])
        has = set(next(iter(rows.values()), {}))
        samples = self._phones(base, path, rows) if "device" in has else self._laptops(base, path, rows)
        for sample in samples:
            missing = [
                crop for crop in (sample.face, sample.left_eye, sample.right_eye) if not Path(str(crop)).is_file()
            ]
            reason = sample.reject_reason or ("a crop is missing" if missing else None)
            yield replace(sample, valid=reason is None, reject_reason=reason)

    def _phones(self, base: ScreenSample, path: Path, rows: Mapping[int, Row]) -> Iterator[ScreenSample]:
        names = {row["device"] for row in rows.values()}
        try:
            devices = {name: find_device(name, self.devices) for name in sorted(names)}
        except UserError as error:
            raise RecordingError(f"{path}: {error}") from error
        plane, points = _numbers(path, rows, "xcam,ycam", 2), _numbers(path, rows, "xdot,ydot", 2)
        fits = {name: _fit(device, plane, points) for name, device in devices.items()}  # nearly always one
        for at, (number, row) in enumerate(rows.items()):
            held, active, error_cm = fits[row["device"]]
            reason = None
            if not np.isfinite(plane[at]).all():
                reason = "label is not finite"
            elif not error_cm[at] <= self.max_label_error_cm:
                reason = "points and cm are of one place in no orientation"
            sample = replace(self._crops(base, path, number, row), screen_pt=active[at], reject_reason=reason)
            yield held.place(sample, at)

    def _laptops(self, base: ScreenSample, path: Path, rows: Mapping[int, Row]) -> Iterator[ScreenSample]:
        px, ratio = _numbers(path, rows, "2dpoint", 2), _numbers(path, rows, "ratio", 2)
        corners = {name: _numbers(path, rows, f"{name}corner", 4) for name in ("face", "lefteye", "righteye")}
        head_mm = _numbers(path, rows, "headtrans", 3)
        for at, (number, row) in enumerate(rows.items()):
            sample = self._crops(base, path, number, row)
            on_left, on_right = _box(corners["lefteye"][at]), _box(corners["righteye"][at])
            eyes: dict[str, Any] = {"left_eye_box": on_left, "right_eye_box": on_right}
            if on_left and on_right and on_left[0] + on_left[2] / 2 < on_right[0] + on_right[2] / 2:
                # Of the picture, that is, which shows the user's left eye on its right
                eyes = {"left_eye_box": on_right, "right_eye_box": on_left}
                eyes |= {"left_eye": sample.right_eye, "right_eye": sample.left_eye}
            x, y = (px[at] * ratio[at] / 10).tolist()
            labelled = bool(np.isfinite((x, y)).all())
            yield replace(
                sample,
                reject_reason=None if labelled else "label is not finite",
                session=row["origin"].split("/")[0],
                device_kind="laptop",
                frame_size=self._size(path, base.recording, number, row["origin"]),
                face_box=_box(corners["face"][at]),
                head_distance_cm=float(np.linalg.norm(head_mm[at])) / 10,
                distance_source="estimated",
                cam_to_screen_cm=(0.0, 0.0),
                gaze_screen_px=(float(px[at, 0]), float(px[at, 1])) if labelled else None,
                gaze_screen_cm=(x, y) if labelled else None,
                gaze_cam_cm=(x, -y) if labelled else None,
                attrs={"evaluation_eye": row["whicheye"]} if "whicheye" in row else {},
                **eyes,
            )

    def _crops(self, base: ScreenSample, path: Path, number: int, row: Row) -> ScreenSample:
        try:
            face, left, right = (Path(inside(str(self.root / "Image"), row[name])) for name in CROPS)
        except PathError as error:
            raise RecordingError(f"{path}:line {number}: {error}; expected paths below {self.root}/Image") from error
        return replace(base, frame=number, face=face, left_eye=left, right_eye=right)

    def _size(self, path: Path, person: str, number: int, origin: str) -> tuple[int, int] | None:
        if self.originals is None:
            return None
        try:
            return upright_size(Path(inside(str(self.originals / person), origin)))
        except PathError as error:
            raise RecordingError(f"{path}:line {number}: {error}; expected such as day01/0005.jpg") from error


def read_rows(path: Path) -> dict[int, Row]:
    """The lines of a label file by their number, each with its words by the header's names in small letters.

    Raises:
        RecordingError: the header is another one, or a line has more or fewer words than it.
    """
    lines = read_text(path, "a header and a line per picture", SOURCE).splitlines()
    names = lines[0].lower().split() if lines else []
    if not any(set(wanted) <= set(names) for wanted in (PHONES, LAPTOPS)):
        raise RecordingError(
            f"{path}: the header is {' '.join(names)!r}; expected at least {' '.join(PHONES)}, or {' '.join(LAPTOPS)}"
        )
    rows = {}
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if words and len(words) != len(names):
            raise RecordingError(
                f"{path}:line {number}: {len(words)} words; expected the header's {len(names)}; correct the line"
            )
        if words:
            rows[number] = dict(zip(names, words, strict=True))
    return rows


def _label_files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.label")):
        if path.stem in files:
            raise UserError(
                f"{path.stem} is in {files[path.stem]} and {path}; expected a person in one split; remove one"
            )
        files[path.stem] = path
    if not files:
        raise UserError(f"{folder} has no file *.label; expected one per person, from {SOURCE}")
    return files


def _numbers(path: Path, rows: Mapping[int, Row], name: str, count: int) -> Float[np.ndarray, "n c"]:
    values = []
    for number, row in rows.items():
        try:
            values.append([float(part) for part in row[name].split(",")])
        except ValueError as error:
            raise RecordingError(f"{path}:line {number}: {name}: {error}; correct the line") from error
        if len(values[-1]) != count:
            raise RecordingError(f"{path}:line {number}: {name} is {row[name]}; expected {count} numbers")
    return np.asarray(values, dtype=np.float64).reshape(-1, count)


def _fit(
    device: Device, plane_cm: Float[np.ndarray, "n 2"], points: Float[np.ndarray, "n 2"]
) -> tuple[HeldScreen, list[Pair], Float[np.ndarray, "n"]]:
    """The device as its two labels agree best, the screen's size in points then, and how far they are apart in cm.

    A device whose points are not known has its labels infinitely far apart.
    """
    count = len(plane_cm)
    ways = [
        (held, size if held <= 2 else size[::-1])
        for size in (device.screen_pt, device.screen_pt_zoomed)
        if size is not None
        for held in (1, 2, 3, 4)
    ]
    errors_cm = np.full((len(ways) + 1, count), np.inf)
    for way, (held, active) in enumerate(ways):
        screen = HeldScreen(device, np.full(count, held), plane_cm)
        errors_cm[way] = screen.error_cm(points, np.tile(np.array(active, dtype=np.float64), (count, 1)))
    errors_cm = np.nan_to_num(errors_cm, nan=np.inf)  # of a label that is not finite
    best = errors_cm.argmin(0)
    ways.append((1, (0, 0)))
    orientation = np.array([ways[way][0] for way in best], dtype=np.int64)
    active_sizes = [(float(ways[way][1][0]), float(ways[way][1][1])) for way in best]
    return HeldScreen(device, orientation, plane_cm), active_sizes, errors_cm[best, np.arange(count)]


def _box(corners: Float[np.ndarray, "4"]) -> Box | None:
    x0, y0, x1, y1 = corners.tolist()
    usable = np.isfinite(corners).all() and x1 > x0 and y1 > y0
    return (x0, y0, x1 - x0, y1 - y0) if usable else None
