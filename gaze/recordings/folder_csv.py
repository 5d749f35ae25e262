"""A folder of pictures and a CSV file that says who looks where in each: people's own recordings."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gaze.datasets.faults import Fault, report
from gaze.datasets.image import ImageError, read_image
from gaze.devices import find_device, load_devices
from gaze.errors import UserError
from gaze.recordings.csv_rows import parse
from gaze.recordings.folder_rows import Columns, Line
from gaze.recordings.sample import ScreenSample

LAYOUTS = ("frame", "crops", "strip")
UNITS = ("cm_camera", "cm_screen", "px", "normalised")


class FolderCsv:
    """Frames of one CSV file; a recording is what the column says, or all frames of one person.

    Left and right are the user's own. Every row that can't be used is named with its line, column and value.

    Args:
        root: the folder; paths in the file are relative to it.
        file: the CSV file in it.
        layout: "frame": `image` is the whole picture, and there are columns of boxes, or landmarks of the eyes'
            corners to make boxes of. "crops": a column of paths for each of face, left_eye and right_eye that there
            is. "strip": `image` shows both eyes side by side, each in one half.
        left_eye_half: of a strip, the half with the user's left eye: "right" in a picture of a camera that does not
            mirror, as webcams deliver it; "left" in a mirrored one, as video calls show it.
        columns: what is needed -> name of the column. subject, x, y, and image or what the layout needs; if there:
            recording, split, device, orientation (1 to 4), dot, dot_time_s, timestamp_s, calibration (0 or 1).
        boxes: stream -> names of the four columns x, y, width, height, in px of the frame.
        landmarks: MediaPipe's index -> names of its two columns, in `landmark_unit` of the frame: fraction or px.
        unit: of x and y. "cm_camera": cm from the camera, y up. "cm_screen" and "px": from the screen's top left, y
            down. "normalised": from -1 to 1 across a window, y down. Without the size of the window, which is then
            `screen_cm`, normalised labels stay what they are, but for y, which becomes up; figures are in that unit.
        device: of conf/devices.yaml, for rows without one; gives sizes and the camera's place.
        devices: a YAML file of own devices.
        screen_cm, screen_px, camera_to_screen_cm: of all rows, in place of a device's.
        dataset: name that rows have.
        boxes_from: where boxes come from, for the table.

    Raises:
        UserError: the settings contradict each other, or there is no such file or column.
    """

    def __init__(
        self,
        root: str,
        file: str = "index.csv",
        layout: str = "strip",
        left_eye_half: str = "right",
        columns: Mapping[str, str | None] | None = None,
        boxes: Mapping[str, Sequence[str]] | None = None,
        landmarks: Mapping[int, Sequence[str]] | None = None,
        landmark_unit: str = "fraction",
        unit: str = "normalised",
        device: str | None = None,
        devices: str | None = None,
        screen_cm: Sequence[float] | None = None,
        screen_px: Sequence[int] | None = None,
        camera_to_screen_cm: Sequence[float] | None = None,
        dataset: str = "folder",
        boxes_from: str = "unknown",
    ) -> None:
        for name, value, allowed in (
            ("layout", layout, LAYOUTS),
            ("left_eye_half", left_eye_half, ("left", "right")),
            ("landmark_unit", landmark_unit, ("fraction", "px")),
            ("unit", unit, UNITS),
        ):
            if value not in allowed:
                raise UserError(f"recording.{name} is {value!r}; expected one of {', '.join(allowed)}")
        for name, size in (("screen_cm", screen_cm), ("screen_px", screen_px)):
            if size is not None and (len(size) != 2 or not min(size) > 0):
                raise UserError(f"recording.{name} is {list(size)}; expected a width and a height above 0")
        self.root, self.file, self.layout, self.dataset = str(root), file, layout, dataset
        self.boxes, self.left_eye_half = boxes_from, left_eye_half
        self.finished_crops = layout != "frame"
        known = load_devices(devices)
        fixed = {
            "device": device and find_device(device, known).name,
            "screen_cm": screen_cm and tuple(screen_cm),
            "screen_px": screen_px and tuple(screen_px),
            "cam_to_screen_cm": camera_to_screen_cm and tuple(camera_to_screen_cm),
        }
        self._rows = Columns(
            root=self.root,
            dataset=dataset,
            layout=layout,
            unit=unit,
            landmark_unit=landmark_unit,
            columns={name: column for name, column in (columns or {}).items() if column},
            boxes=dict(boxes or {}),
            landmarks={int(index): names for index, names in (landmarks or {}).items()},
            fixed={name: value for name, value in fixed.items() if value},
            devices=known,
        )
        self._needed = self._rows.needed()

    @cached_property
    def lines(self) -> tuple[list[Line], list[Fault]]:
        """All rows that can be used, in the order of the file, and what is wrong with the others."""
        lines, faults = parse(Path(self.root) / self.file, self._needed, self._rows.line)
        number: dict[str, int] = {}
        numbered = []
        for line in lines:
            frame = number.setdefault(line.sample.recording, 0)
            number[line.sample.recording] += 1
            numbered.append(replace(line, sample=replace(line.sample, frame=frame)))
        return numbered, faults

    def recordings(self) -> list[str]:
        """Names of the recordings, in the order of the file.

        Raises:
            UserError: rows are malformed; names them.
        """
        lines, faults = self.lines
        if faults:
            raise UserError(report(f"{self.root}/{self.file}", faults))
        return list(dict.fromkeys(line.sample.recording for line in lines))

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of one recording; one whose picture can't be read is not valid."""
        for line in self.lines[0]:
            if line.sample.recording == recording:
                yield self._with_eyes(line)

    def eyes(self, strip: Path) -> dict[str, UInt8[Tensor, "3 H W"]]:
        """Both eyes of a strip, by the user's own left and right.

        Raises:
            ImageError: the picture can't be read, or can't be halved.
        """
        image = read_image(strip)
        width = image.shape[-1]
        if width % 2:
            raise ImageError(str(strip), f"is {width} px wide; expected a strip of two halves of the same width")
        halves = {"left": image[..., : width // 2], "right": image[..., width // 2 :]}
        other = "left" if self.left_eye_half == "right" else "right"
        return {"left_eye": halves[self.left_eye_half], "right_eye": halves[other]}

    def _with_eyes(self, line: Line) -> ScreenSample:
        if line.strip is None:
            return line.sample
        try:
            eyes = self.eyes(line.strip)
        except ImageError as error:
            return replace(line.sample, valid=False, reject_reason=str(error))
        return replace(line.sample, left_eye=_png(eyes["left_eye"]), right_eye=_png(eyes["right_eye"]))


def _png(image: UInt8[Tensor, "3 H W"]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(stream, "PNG")
    return stream.getvalue()
