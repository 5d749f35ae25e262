"""What can be wrong with single rows of a table: each check looks at all rows of a piece at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool

from gaze.devices import Device
from gaze.landmarks.boxes import eyes_swapped
from gaze.landmarks.points import DEFAULT, LEFT_CORNERS, MESH, RIGHT_CORNERS
from gaze.recordings.columns import absent, numbers, words
from gaze.recordings.crops import EXIF
from gaze.recordings.schema import LANDMARKS, STREAMS
from gaze.recordings.units import AGREE_CM, TOLERANCE_CM, label_range, on_plane, outside

SPLITS = ("train", "val", "test", "calib", "unused")
FAR = 1.0  # sides of a box that it may be outside the frame
LARGE = 4.0  # sides of the frame that a box may have
SEEN = [point for point in DEFAULT if point < MESH]  # of the landmarks that models see; files of 468 have no irises

Mask = Bool[np.ndarray, "n"]
Rows = Callable[[pa.Table, Mapping[str, Device]], Mask]


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong: which rows, and what to tell the person who has to mend it."""

    name: str
    rows: Rows
    columns: tuple[str, ...]  # that it reads
    found: str
    do: str
    severe: bool = True  # such a row must not be trained on


def failing(table: pa.Table, devices: Mapping[str, Device]) -> Iterator[tuple[Check, Mask]]:
    """Every check that the table has the columns for, with the rows that it refuses."""
    for check in CHECKS:
        if set(check.columns) <= set(table.column_names):
            yield check, check.rows(table, devices)


def advised(reason: str) -> str:
    """A reason why a row is refused, and where it is the name of a check what that found and what to do."""
    check = next((check for check in CHECKS if check.name == reason.split(";")[0]), None)
    return reason if check is None else f"{reason}: {check.found}; {check.do}"


def columns() -> list[str]:
    """All that checks read."""
    return list(dict.fromkeys(name for check in CHECKS for name in check.columns))


def _label_missing(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return ~np.isfinite(numbers(table, "gaze_cam_cm")).all(1)


def _label_range(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return outside(numbers(table, "gaze_cam_cm"), label_range(table), TOLERANCE_CM)


def _label_frames(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    apart = on_plane(table, numbers(table, "gaze_screen_cm")) - numbers(table, "gaze_cam_cm")
    with np.errstate(invalid="ignore"):  # NaN is not known, and not wrong
        return np.abs(apart).max(1) > AGREE_CM


def _orientation(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return ~np.isin(numbers(table, "orientation")[:, 0], (1, 2, 3, 4))


def _screen(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    sizes = numbers(table, "screen_w_cm", "screen_h_cm", "screen_w_px", "screen_h_px")
    return (sizes <= 0).any(1) | np.isinf(sizes).any(1)


def _device(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    named = words(table, "device")
    return (named != "") & ~np.isin(named, list(devices))


def _no_screen(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return np.isnan(numbers(table, "screen_w_cm", "screen_h_cm")).any(1)


def _boxes(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    frame = numbers(table, "frame_w", "frame_h")
    bad = np.zeros(len(table), bool)
    with np.errstate(invalid="ignore"):
        for stream in STREAMS:
            box = numbers(table, f"{stream}_box")
            start, side = box[:, :2], box[:, 2:]
            broken = ~np.isfinite(box).all(1) | (side <= 0).any(1)
            away = (start > frame + FAR * side).any(1) | (start + side < -FAR * side).any(1)
            bad |= ~np.isnan(box).all(1) & (broken | away | (side > LARGE * frame).any(1))
    return bad


def _swapped(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    left, right = (torch.from_numpy(numbers(table, f"{side}_eye_box")) for side in ("left", "right"))
    return eyes_swapped(left, right).numpy()


def _outside_face(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    face = numbers(table, "face_box")
    bad = np.zeros(len(table), bool)
    with np.errstate(invalid="ignore"):
        for side in ("left_eye_box", "right_eye_box"):
            eye = numbers(table, side)
            apart = (eye[:, :2] + eye[:, 2:] / 2) - (face[:, :2] + face[:, 2:] / 2)
            bad |= (np.abs(apart) > 0.75 * face[:, 2:]).any(1)
    return bad


def _landmarks_nan(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    missing = np.isnan(_landmarks(table)[:, :, :2]).any(2)
    return missing[:, SEEN].any(1) & ~missing.all(1)


def _landmarks_px(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    with np.errstate(invalid="ignore"):
        return (np.abs(_landmarks(table)[:, :, :2]) > 3).any((1, 2))


def _landmarks_swapped(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    x = _landmarks(table)[:, :, 0]
    with np.errstate(invalid="ignore"):
        return x[:, list(LEFT_CORNERS)].mean(1) < x[:, list(RIGHT_CORNERS)].mean(1)


def _landmarks(table: pa.Table) -> np.ndarray:
    return numbers(table, "landmarks").reshape(len(table), LANDMARKS, 3)


def _pictures(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    """Rows that have no frame and lack a crop which other rows have, or that have no picture at all."""
    has = {stream: ~_without(table, stream) for stream in ("frame", *STREAMS)}
    lacks = ~np.logical_or.reduce(list(has.values()))
    for stream in STREAMS:
        if has[stream].any():
            lacks |= ~has[stream] & ~has["frame"]
    return lacks


def _without(table: pa.Table, stream: str) -> Mask:
    return absent(table, f"{stream}_bytes") & absent(table, f"{stream}_path")


def _rotation(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return ~np.isin(numbers(table, "frame_rotation")[:, 0], (0, 90, 180, 270))


def _split(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return ~np.isin(words(table, "split"), SPLITS)


def _faces(count: Callable[[np.ndarray], Mask]) -> Rows:
    """Rows whose reader or landmarker counted faces, in `attrs`, and got such a number."""

    def rows(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
        found = _attribute(table, "faces")
        number = pc.if_else(pc.utf8_is_decimal(found), found, "1").cast(pa.float64()).fill_null(1.0)
        return np.asarray(count(number.to_numpy()))

    return rows


def _turned(table: pa.Table, devices: Mapping[str, Device]) -> Mask:
    return np.asarray(_attribute(table, EXIF).is_valid().to_numpy(), bool)


def _attribute(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.map_lookup(table["attrs"], pa.scalar(name), "first")


_LABEL = ("gaze_cam_cm", "cam_to_screen_cm", "orientation", "screen_w_cm", "screen_h_cm")
_CROPS = tuple(f"{stream}_{kind}" for stream in ("frame", *STREAMS) for kind in ("bytes", "path"))

CHECKS = (
    Check("no face", _faces(lambda n: n == 0), ("attrs",), "no face was found", "leave these frames out"),
    Check(
        "more than one face",
        _faces(lambda n: n > 1),
        ("attrs",),
        "more than one face was found, so that the user is not certain",
        "leave them out, or have the reader choose the user's face and its boxes",
    ),
    Check(
        "label missing",
        _label_missing,
        ("gaze_cam_cm",),
        "gaze_cam_cm is not known",
        "have the reader give gaze_cam_cm, or gaze_screen_cm or _px with the device",
    ),
    Check(
        "label out of range",
        _label_range,
        _LABEL,
        f"gaze_cam_cm is more than {TOLERANCE_CM:g} cm off the screen",
        "check the label's unit and frame, the device and the orientation",
    ),
    Check(
        "labels disagree",
        _label_frames,
        (*_LABEL, "gaze_screen_cm"),
        f"gaze_screen_cm and gaze_cam_cm are not the same point, to {AGREE_CM:g} cm",
        "check orientation and cam_to_screen_cm, or give only one of the two labels",
    ),
    Check("orientation", _orientation, ("orientation",), "orientation is not 1 to 4", "see docs/recordings.md"),
    Check(
        "screen size",
        _screen,
        ("screen_w_cm", "screen_h_cm", "screen_w_px", "screen_h_px"),
        "the screen has no area",
        "give screen_cm and screen_px, or a device of conf/devices.yaml",
    ),
    Check(
        "box",
        _boxes,
        ("frame_w", "frame_h", *(f"{stream}_box" for stream in STREAMS)),
        "a box is not finite, has no area or is not near the frame",
        "boxes are (x, y, w, h) in px of the upright frame",
    ),
    Check(
        "eyes swapped",
        _swapped,
        ("left_eye_box", "right_eye_box"),
        "the left eye's box is at the image's left of the right eye's",
        "left is the person's own left, at the image's right: exchange the eyes, or turn or mirror the pictures back",
    ),
    Check(
        "landmarks swapped",
        _landmarks_swapped,
        ("landmarks",),
        "the left eye's corners are at the image's left of the right eye's",
        "the pictures are mirrored or upside down: turn them back and find the landmarks again",
    ),
    Check(
        "landmarks in px",
        _landmarks_px,
        ("landmarks",),
        "landmarks are far outside the frame",
        "landmarks are fractions of the upright frame: divide pixels by its width and height",
    ),
    Check("picture missing", _pictures, _CROPS, "a crop is missing, and there is no frame", "restore or leave out"),
    Check(
        "frame rotation", _rotation, ("frame_rotation",), "frame_rotation is not 0, 90, 180 or 270", "mend the reader"
    ),
    Check("split", _split, ("split",), f"split is not one of {', '.join(SPLITS)}", "mend the reader or the manifest"),
    Check(
        "device unknown",
        _device,
        ("device",),
        "the device is not in the table of devices, so labels can't be checked against it",
        "describe it in a file like conf/devices.yaml and give that as devices=FILE",
        severe=False,
    ),
    Check(
        "screen unknown",
        _no_screen,
        ("screen_w_cm", "screen_h_cm"),
        "the size of the screen is not known, so errors in px and the range of labels aren't either",
        "give screen_cm, or a device of conf/devices.yaml",
        severe=False,
    ),
    Check(
        "turned by EXIF",
        _turned,
        ("attrs",),
        "the picture was turned as its EXIF says",
        "boxes and landmarks must be of the upright picture; if they are of the stored one, remove its EXIF orientation",
        severe=False,
    ),
    Check(
        "eyes outside the face",
        _outside_face,
        ("face_box", "left_eye_box", "right_eye_box"),
        "an eye's box is outside the face's",
        "eye boxes are in px of the frame, not of the face's crop",
        severe=False,
    ),
    Check(
        "landmarks incomplete",
        _landmarks_nan,
        ("landmarks",),
        f"some of the {len(DEFAULT)} landmarks that models see are NaN",
        "find them again, leave the sample's landmarks out, or choose those that are there with dataset.landmarks",
        severe=False,
    ),
)
