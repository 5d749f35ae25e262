"""Predictions on a video: the same video with overlays, a table, and the predictions as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
from jaxtyping import UInt8
from torch import Tensor

from gaze.errors import UserError
from gaze.inference.follow import Predict, follow
from gaze.inference.heads import HeadSource
from gaze.inference.one_euro import OneEuro
from gaze.inference.outbox import Outbox
from gaze.inference.tables import FORMATS, SCHEMA, Table, check_formats, rows_of
from gaze.inference.tracks import Tracker
from gaze.inference.video_file import Frame, VideoWriter, read_frames

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


@runtime_checkable
class Shown(Protocol):
    """A frame, and what the last prediction until then says of the people in it."""

    @property
    def frame(self) -> Frame: ...

    @property
    def predicted(self) -> bool:
        """Is it for this frame, not for one before?"""
        ...

    @property
    def record(self) -> dict[str, Any]:
        """The prediction in plain numbers."""
        ...

    def draw(self) -> UInt8[Tensor, "3 H W"]:
        """The frame with what is predicted."""
        ...


class Columns(NamedTuple):
    """What a table of predictions holds."""

    schema: pa.Schema
    rows: Callable[[Mapping[str, Any]], list[dict[str, Any]]]  # of a record


SCENES = Columns(SCHEMA, rows_of)


def is_video(source: Path) -> bool:
    """Does the name end as that of a video?"""
    return source.suffix.lower() in SUFFIXES and not source.is_dir()


def predict_video(
    predictor: Predict,
    heads: HeadSource,
    source: Path,
    out: Path,
    about: dict[str, Any],
    every: int = 1,
    batch_size: int = 8,
    tracker: Tracker | None = None,
    smooth: OneEuro | None = None,
    tables: Sequence[str] = ("csv",),
) -> Path:
    """Predict for the frames of a video and return the file of results.

    `clip.mov` becomes `clip_gaze.mp4` in `out`, with all frames at their times and no sound, and
    `clip_gaze.csv` or `.parquet`, with a row for each person and frame that was predicted; see
    `gaze.inference.tables.SCHEMA`. Memory does not grow with the length of the video.

    Args:
        every: frames from one prediction to the next; those between show the last one.
        batch_size: frames in memory, and at most so many in one forward pass.
        tracker: links heads to persons, unless `heads` knows who is who; a new one. None: with its defaults.
        smooth: filters each person's gaze; None: not.
        tables: formats, of `gaze.inference.tables.FORMATS`.

    Raises:
        UserError: PyAV is missing, the file is no video, a setting makes no sense, or `out` holds a file that
            is not ours. Nothing is written then.
        HeadsError: head boxes are missing or do not fit.
    """

    def views(frames: Iterable[Frame]) -> Iterator[Shown]:
        return follow(predictor, heads, source.name, frames, tracker or Tracker(), smooth, every, batch_size)

    check_pace(every, batch_size)
    return write_video(views, source, out, about, SCENES, tables)


def check_pace(every: int, batch_size: int) -> None:
    """Refuse numbers of frames that make no sense.

    Raises:
        UserError: one of them is less than 1.
    """
    if every < 1 or batch_size < 1:
        raise UserError(f"every={every}, batch_size={batch_size}; expected numbers of frames, 1 or more")


def write_video(
    views: Callable[[Iterable[Frame]], Iterator[Shown]],
    source: Path,
    out: Path,
    about: dict[str, Any],
    columns: Columns,
    tables: Sequence[str],
) -> Path:
    """Write what is shown of a video's frames: overlays, tables and results; return the file of results.

    Args:
        views: what is shown of each frame, in order.
        columns: of the tables.
        tables: formats, of `gaze.inference.tables.FORMATS`.

    Raises:
        UserError: see `predict_video`.
    """
    if not source.exists():
        raise UserError(f"source={source} does not exist; give an image, a folder of images or a video")
    name = f"{source.stem}_gaze"
    overlay, files = f"{name}.mp4", {f"{name}.{table}": FORMATS[table] for table in check_formats(tables)}
    frames = read_frames(source)
    first = next(frames)  # before anything is written
    outbox = Outbox(out, [overlay, *files], about)
    with outbox.notes() as notes:
        with ExitStack() as written:  # what is left takes its name, unless something went wrong
            writer = written.enter_context(VideoWriter(written.enter_context(outbox.writing(overlay)), first))
            sheets: list[Table] = []
            for file, table in files.items():
                sheets.append(table(written.enter_context(outbox.writing(file)), columns.schema))
                written.enter_context(sheets[-1])
            for view in views(chain([first], frames)):
                writer.add(view.frame, view.draw())
                if view.predicted:
                    notes.add(view.record)
                    for sheet in sheets:
                        sheet.add(columns.rows(view.record))
        height, width = first.picture.shape[-2:]
        about_it = {"video": source.name, "overlay": overlay, "tables": list(files), "width": width, "height": height}
        return outbox.finish(about_it, frames=notes)
