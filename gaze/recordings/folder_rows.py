"""Rows of a CSV file as frames: which column says what, in which unit, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaze.datasets.image import ImageError, image_size
from gaze.devices import Device, find_device
from gaze.errors import UserError
from gaze.label_units import HALF_WINDOWS
from gaze.landmarks.boxes import eye_boxes
from gaze.landmarks.points import COUNT, LEFT_CORNERS, RIGHT_CORNERS
from gaze.recordings.completion import complete
from gaze.recordings.csv_rows import CsvRow
from gaze.recordings.sample import LABEL_UNIT, Pair, ScreenSample
from gaze.recordings.schema import STREAMS

_SLACK = 0.5  # how far beyond [-1, 1] a normalised label may be: people look beside the window, too
_OPTIONAL = ("recording", "split", "device", "orientation", "dot", "dot_time_s", "timestamp_s", "calibration")
_SPLITS = ("train", "val", "test", "calib", "unused")


@dataclass(frozen=True)
class Line:
    """One row: the frame, and the strip that its eyes are in, if they are in one."""

    sample: ScreenSample
    strip: Path | None


@dataclass(frozen=True)
class Columns:
    """Where a file says what; the fields are arguments of `FolderCsv`, and `fixed` is what is true of all rows."""

    root: str
    dataset: str
    layout: str
    unit: str
    landmark_unit: str
    columns: Mapping[str, str]
    boxes: Mapping[str, Sequence[str]]
    landmarks: Mapping[int, Sequence[str]]
    fixed: Mapping[str, Any]
    devices: Mapping[str, Device]

    def line(self, row: CsvRow) -> Line:
        """The frame of a row; its number is not yet known."""
        column = self.columns
        subject = row.text(column["subject"])
        facts: dict[str, Any] = {name: value for name, value in self.fixed.items() if value}
        if "device" in column:
            name = row.text(column["device"])
            try:
                facts["device"] = find_device(name, self.devices).name
            except UserError as error:
                raise row.wrong(column["device"], "a device of conf/devices.yaml or recording.devices") from error
        facts["orientation"] = row.whole(column["orientation"], (1, 2, 3, 4)) if "orientation" in column else 1
        facts["split"] = row.text(column["split"]) if "split" in column else "train"
        if facts["split"] not in _SPLITS:
            raise row.wrong(column["split"], f"one of {', '.join(_SPLITS)}")
        for name, key in (("dot_index", "dot"), ("is_calib_dot", "calibration")):
            if key in column:
                facts[name] = row.whole(column[key], (0, 1) if key == "calibration" else None)
        facts |= {name: row.number(column[name]) for name in ("dot_time_s", "timestamp_s") if name in column}
        strip = row.file_in(column["image"], self.root) if self.layout == "strip" else None
        sample = ScreenSample(
            dataset=self.dataset,
            subject=subject,
            recording=row.text(column["recording"]) if "recording" in column else subject,
            frame=0,
            **(facts | {"is_calib_dot": bool(facts.get("is_calib_dot", 0))}),
            **self._pictures(row),
        )
        return Line(self._labelled(row, sample), strip)

    def _pictures(self, row: CsvRow) -> dict[str, Any]:
        column = self.columns
        found: dict[str, Any] = {}
        if self.layout == "crops":
            return {stream: row.file_in(column[stream], self.root) for stream in STREAMS if stream in column}
        if self.layout == "frame":
            found["picture"] = row.file_in(column["image"], self.root)
            try:
                height, width = image_size(found["picture"])
            except ImageError as error:
                raise row.wrong(column["image"], f"a picture ({error.reason})") from error
            found["frame_size"] = (width, height)
            for stream, names in self.boxes.items():
                box = tuple(row.number(name) for name in names)
                if min(box[2:]) <= 0:
                    raise row.wrong(names[2] if box[2] <= 0 else names[3], "a width and a height above 0")
                found[f"{stream}_box"] = box
            if self.landmarks:
                found |= self._points(row, width, height)
        return found

    def _points(self, row: CsvRow, width: int, height: int) -> dict[str, Any]:
        """Landmarks, and eye boxes made of the eyes' corners where no columns give them."""
        points = np.full((COUNT, 3), np.nan, np.float32)
        scale = np.array([width, height], np.float32) if self.landmark_unit == "px" else 1.0
        for index, (x, y) in self.landmarks.items():
            points[index, :2] = np.array([row.number(x), row.number(y)], np.float32) / scale
        found: dict[str, Any] = {"landmarks": points}
        if {*LEFT_CORNERS, *RIGHT_CORNERS} <= set(self.landmarks):
            left, right = eye_boxes(torch.from_numpy(points), torch.tensor([height, width]))
            for stream, box in (("left_eye", left), ("right_eye", right)):
                if stream not in self.boxes:
                    found[f"{stream}_box"] = tuple(box.tolist())
        return found

    def _labelled(self, row: CsvRow, sample: ScreenSample) -> ScreenSample:
        names = self.columns["x"], self.columns["y"]
        point: Pair = (row.number(names[0]), row.number(names[1]))
        if self.unit == "cm_camera":
            return complete(replace(sample, gaze_cam_cm=point), self.devices)
        if self.unit == "normalised":
            for name, value in zip(names, point, strict=True):
                if abs(value) > 1 + _SLACK:
                    raise row.wrong(name, "a number from -1 to 1, as recording.unit=normalised says")
            window = complete(sample, self.devices)
            if window.screen_cm is None:
                x, y = point
                return replace(sample, gaze_cam_cm=(x, -y), attrs={LABEL_UNIT: HALF_WINDOWS})
            w, h = window.screen_cm
            point = ((point[0] + 1) / 2 * w, (point[1] + 1) / 2 * h)
        told = replace(sample, gaze_screen_px=point) if self.unit == "px" else replace(sample, gaze_screen_cm=point)
        done = complete(told, self.devices)
        if done.gaze_cam_cm is None:
            known = (
                "screen_px, screen_cm and camera_to_screen_cm"
                if self.unit == "px"
                else "screen_cm and camera_to_screen_cm"
            )
            raise UserError(
                f"recording.unit is {self.unit}, and where the camera is relative to the screen is not known; tell "
                f"recording.device, or recording.{known}"
            )
        return done

    def needed(self) -> list[str]:
        """Names of the columns that the file must have.

        Raises:
            UserError: something is not told, or told that does not exist.
        """
        pictures = {"crops": [s for s in STREAMS if s in self.columns]}.get(self.layout, ["image"])
        known = {"subject", "x", "y", "image", *STREAMS, *_OPTIONAL}
        missing = [name for name in ("subject", "x", "y", *pictures) if name not in self.columns]
        unknown = sorted(set(self.columns) - known)
        if missing or unknown or not pictures:
            said = (
                f"lacks {', '.join(missing)}"
                if missing
                else f"has {', '.join(unknown)}"
                if unknown
                else "names no picture"
            )
            raise UserError(f"recording.columns {said}; it takes {', '.join(sorted(known))}")
        lists = {**self.boxes, **{str(k): v for k, v in self.landmarks.items()}}
        wrong = [
            k
            for k, v in lists.items()
            if len(v) != (4 if k in self.boxes else 2) or (k in self.boxes and k not in STREAMS)
        ]
        if wrong or not all(0 <= index < COUNT for index in self.landmarks):
            raise UserError(
                f"recording.boxes or landmarks has {', '.join(wrong) or 'an index beyond 477'}; expected face, left_eye, "
                "right_eye with four columns each, and indices from 0 to 477 with two"
            )
        used = [name for key, name in self.columns.items() if key in {"subject", "x", "y", *pictures, *_OPTIONAL}]
        return [*used, *(name for names in lists.values() for name in names)]
