"""Turns a data set of faces into a table, and looks at every row on the way."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from torch import Tensor

from gaze.datasets.image import ImageError, decode_image, resize
from gaze.errors import UserError
from gaze.faces.checks import check_columns, check_labels
from gaze.faces.index import Faces
from gaze.faces.integrity import Counts, Examination, write_report
from gaze.faces.table import About, FaceWriter
from gaze.synthesis.folders import recover, replacing

FORMATS = ("jpeg", "png")
POLICIES = ("raise", "skip")
STEP = 64  # rows at a time
KEPT = "report.md"  # what a table of ours has beside its parts


def prepare(
    faces: Faces,
    out: Path | str | None,
    *,
    face_size: int | None = None,
    encode: str = "jpeg",
    quality: int = 95,
    expected_px: Sequence[int] | None = None,
    counts: Counts | None = None,
    on_corrupt: str = "skip",
    overwrite: bool = False,
    made: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write the table, whole or not at all, and its report; return the report.

    Args:
        faces: what reads the data set.
        out: the folder to make; None: look at the data set only.
        face_size: side in px that pictures are made; None: as they are. Files that fit are taken over byte for byte.
        encode: what other pictures are stored as: "jpeg" or "png".
        quality: of JPEG.
        expected_px: (height, width) that pictures should have, else the report says so.
        counts: rows of published files, by data set and file.
        on_corrupt: "raise", or "skip" for a table without the rows that are at fault.
        overwrite: replace a table that is there.
        made: settings that the table is to remember.
        progress: is called with (rows done, rows).

    Raises:
        UserError: the folder holds something else, or rows are at fault and `on_corrupt` is "raise".
        DatasetError: the data set can't be read.
    """
    for key, value, choices in (("encode", encode, FORMATS), ("on_corrupt", on_corrupt, POLICIES)):
        if value not in choices:
            raise UserError(f"{key} is {value!r}; expected one of {', '.join(choices)}")
    table, faults = faces.index()
    check_columns(faces.name, table)
    table, more, counted = check_labels(table)
    looked = Examination(table, [*faults, *more], counted, expected_px, counts or {})
    if out is None:
        for start in range(0, len(table), STEP):
            _pictures(faces, table, start, looked, None, encode, quality)
            progress(min(start + STEP, len(table)), len(table))
        return looked.report()
    folder = Path(out)
    recover(folder)
    _check_free(folder, overwrite)
    about = About(faces.name, faces.normalised, faces.clusters(), dict(made or {}))
    with replacing(folder) as aside:
        with FaceWriter(aside, about) as writer:
            for start in range(0, len(table), STEP):
                rows, pictures = _pictures(faces, table, start, looked, face_size, encode, quality)
                writer.write(rows, pictures)
                progress(min(start + STEP, len(table)), len(table))
        report = looked.report()
        if on_corrupt == "raise" and report["faults"]:
            raise UserError(
                f"{folder} is not written: {report['severe'][0]}; correct them, or leave them out: on_corrupt=skip"
            )
        if not report["rows"]:
            raise UserError(f"{folder} is not written: no picture can be read; is root the whole data set?")
        write_report(report, aside)
    return report


def _pictures(
    faces: Faces,
    table: pa.Table,
    start: int,
    looked: Examination,
    face_size: int | None,
    encode: str,
    quality: int,
) -> tuple[pa.Table, list[bytes]]:
    """The next rows whose pictures can be read, and these."""
    kept, pictures = [], []
    for row in range(start, min(start + STEP, len(table))):
        path = table["path"][row].as_py()
        try:
            data = faces.stored(path)
            image = faces.picture(path) if data is None else decode_image(path, data, upright=False)
        except ImageError as error:
            looked.lost(row, str(error))
            continue
        looked.look(row, image)
        fits = face_size is None or tuple(image.shape[-2:]) == (face_size, face_size)
        if data is None or not fits:
            data = _encoded(image if face_size is None else resize(image, (face_size, face_size)), encode, quality)
        kept.append(row)
        pictures.append(data)
    return table.take(pa.array(kept, pa.int64())), pictures


def _encoded(image: Tensor, encode: str, quality: int) -> bytes:
    stream = io.BytesIO()
    settings: dict[str, Any] = {"quality": quality, "subsampling": 0} if encode == "jpeg" else {}
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(stream, encode.upper(), **settings)
    return stream.getvalue()


def _check_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    ours = (folder / KEPT).is_file() and any(folder.glob("part-*.parquet"))
    if not ours and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise UserError(f"{folder} exists and holds something else; expected a new folder; choose another with out=")
    if ours and not overwrite:
        raise UserError(f"{folder} holds a table already; expected a new folder; replace it with overwrite=true")
