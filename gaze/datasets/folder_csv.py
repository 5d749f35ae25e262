"""People's own recordings as a data set, straight from a folder and its CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import ImageError, decode_image, looks_whole, read_image
from gaze.datasets.screen_frames import Raw, ScreenFrames, check_streams
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_splits import HELD, HoldOut, frames_of
from gaze.datasets.screen_table import COLUMNS, check, one_unit, pack
from gaze.datasets.screen_view import STREAMS, Augmentation
from gaze.datasets.splits import SPLITS
from gaze.datasets.splits import hold_out as drawn
from gaze.recordings.folder_csv import FolderCsv as Recordings
from gaze.recordings.folder_rows import Line
from gaze.recordings.rows import table_of
from gaze.recordings.sample import Picture

KEPT_BYTES = 1 << 28  # of decoded pictures that a process keeps


class FolderCsv(ScreenFrames):
    """The rows of a CSV file; a sample is one frame.

    Splits are by person: those of the file's column if it has one, those of `hold_out`, or people drawn by a hash of
    their names. Larger collections load faster as a table: tools/prepare_pog.py recording=folder_csv.

    Args:
        recording: reads the file.
        split: train, val or test.
        hold_out: who is the test split, as a name or {subject: p03}; also {device: laptop_13}.
        val_fraction, test_fraction: shares of the people that are drawn, where nothing says who is in which split. With
            a val_fraction of None everybody but the test split trains, and val looks at some of them.

    All other arguments are those of `ScreenFrames`.

    Raises:
        DatasetError: rows are malformed, or what they hold is not what training should begin with.
        UserError: there is no such file or column.
    """

    def __init__(
        self,
        recording: Recordings,
        split: str,
        streams: Sequence[str] = ("left_eye", "right_eye"),
        face_size: int | Sequence[int] = 224,
        eye_size: int | Sequence[int] = 32,
        landmarks: Sequence[int] | None = None,
        augmentations: Sequence[Augmentation | CutMix] = (),
        hold_out: HoldOut = None,
        val_fraction: float | None = 0.1,
        test_fraction: float = 0.2,
        balance: float = 0.0,
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
    ) -> None:
        check_streams(streams)
        self.recording = recording
        lines, faults = recording.lines
        self._pictures = [stream for stream in STREAMS if stream in streams]
        root = Path(recording.root)
        if hold_out is None and {line.sample.split for line in lines} == {"train"}:
            lines = _drawn(lines, test_fraction)
        table = table_of([line.sample for line in lines], root.absolute()).select(
            list(dict.fromkeys([*COLUMNS, *HELD]))
        )
        if not len(table):
            raise DatasetError(
                f"{root / recording.file} holds no row that can be used" + "".join(f"\n  {f}" for f in faults[:20])
            )
        mask, people = frames_of(str(root / recording.file), table, split, hold_out, val_fraction)
        table = table.append_column("row", pa.array(np.arange(len(table)))).filter(pa.array(mask))
        table, more = check(table, self._pictures if recording.layout == "frame" else [])
        faults = faults + more
        table, more = _whole(table, lines, self._pictures)
        self._lines = [lines[number] for number in table["row"].to_pylist()]
        unit = one_unit(str(root / recording.file), (line.sample.label_unit for line in self._lines))
        labels, facts = pack(table, unit)
        self._kept: dict[tuple[int, tuple[str, ...]], Raw] = {}
        self._room = KEPT_BYTES
        super().__init__(
            title=f"the {split} split of {root / recording.file}",
            labels=labels,
            facts=facts,
            read=self._raw,
            faults=faults + more,
            streams=streams,
            face_size=face_size,
            eye_size=eye_size,
            landmarks=landmarks,
            augmentations=augmentations,
            people=people,
            balance=balance,
            margin=0.0,
            on_corrupt=on_corrupt,
            skip_limit=skip_limit,
        )

    def _raw(self, index: int, streams: Sequence[str]) -> Raw:
        """The pictures of a frame, which stay in memory while there is room: small ones cost more to open than to augment."""
        wanted = index, tuple(streams)
        if wanted not in self._kept:
            raw = self._opened(index, streams)
            self._room -= sum(image.nbytes for image in raw.pictures.values())
            if self._room < 0:
                return raw
            self._kept[wanted] = raw
        return self._kept[wanted]

    def _opened(self, index: int, streams: Sequence[str]) -> Raw:
        line = self._lines[index]
        sample = line.sample
        if line.strip is not None:
            pictures = self.recording.eyes(line.strip)
        elif sample.picture is not None:
            pictures = {"frame": _decoded(sample.picture)}
        else:
            pictures = {stream: self._crop(line, stream) for stream in streams}
        absent = [stream for stream in streams if not {stream, "frame"} & set(pictures)]
        if absent:
            raise ImageError(sample.sample_id, f"has no {absent[0]}; leave it out of dataset.streams")
        return Raw(pictures, sample.landmarks, sample.imu)

    def _crop(self, line: Line, stream: str) -> UInt8[Tensor, "3 H W"]:
        picture: Picture | None = getattr(line.sample, stream)
        if picture is None:
            raise ImageError(
                line.sample.sample_id, f"has no {stream}; name its column, or leave it out of dataset.streams"
            )
        return _decoded(picture)


def _whole(table: pa.Table, lines: list[Line], pictures: list[str]) -> tuple[pa.Table, list[Fault]]:
    """The rows but for those with a picture that is cut off or none, and a fault for each of these."""
    found: dict[int, str] = {}
    for place, number in enumerate(table["row"].to_pylist()):
        line = lines[number]
        files = [line.strip, line.sample.picture, *(getattr(line.sample, stream) for stream in pictures)]
        for file in files:
            try:
                if isinstance(file, Path) and not looks_whole(file):
                    read_image(file)  # what follows a good picture is no fault
            except ImageError as error:
                found[place] = str(error)
    do = "or remove the row"
    faults = [Fault(table["sample_id"][i].as_py(), what, "", do) for i, what in found.items()]
    keep = np.ones(len(table), dtype=bool)
    keep[list(found)] = False
    return table.filter(pa.array(keep)), faults


def _decoded(picture: Picture) -> UInt8[Tensor, "3 H W"]:
    return decode_image("the picture", picture) if isinstance(picture, bytes) else read_image(picture)


def _drawn(lines: list[Line], test_fraction: float) -> list[Line]:
    """The rows with a test split of people drawn by a hash of their names."""
    test = drawn([line.sample.subject for line in lines], test_fraction)
    parts = {True: SPLITS[2], False: SPLITS[0]}
    return [replace(line, sample=replace(line.sample, split=parts[line.sample.subject in test])) for line in lines]
