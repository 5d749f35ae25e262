"""Gaze annotations of pictures, column by column: as rows of a file, and as the compact labels of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from gaze.datasets.faults import Fault


@dataclass(frozen=True)
class Rows:
    """What annotators answered, one answer a row, in the order of the files."""

    files: tuple[str, ...]  # for messages
    unit: str  # what `number` counts, such as "line"
    source: Int[ndarray, "r"]  # which of the files
    number: Int[ndarray, "r"]  # where in the file, from 1
    path: pa.StringArray  # image file, relative to the data root
    head: Float[ndarray, "r"]  # answers with the same value in the same image are about the same head
    box: Float[ndarray, "r 4"]  # head, x0, y0, x1, y1 in pixels of the original image
    gaze: Float[ndarray, "r 2"]  # x, y as fractions of the image
    inout: Float[ndarray, "r"]  # 1 the target is in the frame, 0 it is not
    size: Int[ndarray, "r 2"]  # (height, width) of the image that the file declares, 0 where it doesn't

    @classmethod
    def of(cls, files: Sequence[str], unit: str, records: Sequence[tuple]) -> Rows:
        """The rows of (source, number, path, head, inout, x0, y0, x1, y1, gaze x, gaze y, height, width)."""
        columns = zip(*records, strict=True) if records else ((),) * 13
        source, number, path, head, inout, *numbers, height, width = columns
        values = np.asarray(numbers, dtype=np.float64).T.reshape(-1, 6)
        return cls(
            files=tuple(files),
            unit=unit,
            source=np.asarray(source, dtype=np.int64),
            number=np.asarray(number, dtype=np.int64),
            path=pa.array(path, pa.string()),
            head=np.asarray(head, dtype=np.float64),
            box=values[:, :4],
            gaze=values[:, 4:],
            inout=np.asarray(inout, dtype=np.float64),
            size=np.asarray([height, width], dtype=np.int64).T.reshape(-1, 2),
        )

    def __len__(self) -> int:
        return len(self.number)

    def where(self, row: int) -> str:
        """The place of a row in its file, for a message."""
        return f"{self.files[self.source[row]]}:{self.unit} {self.number[row]}"

    def keep(self, mask: Bool[ndarray, "r"]) -> Rows:
        """The rows where the mask is true."""
        if mask.all():
            return self
        kept: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("files", "unit")}
        kept = {name: v.filter(pa.array(mask)) if name == "path" else v[mask] for name, v in kept.items()}
        return replace(self, **kept)

    def drop(self, bad: Bool[ndarray, "r"], fault: Callable[[int], Fault]) -> tuple[Rows, list[Fault]]:
        """The rows that are not bad, and a fault for each place in the file that is."""
        faults = dict.fromkeys(fault(int(row)) for row in np.flatnonzero(bad))  # a JSON head has a row per annotator
        return self.keep(~bad), list(faults)

    def images(self) -> tuple[pa.StringArray, Int[ndarray, "r"]]:
        """The distinct paths, sorted, and for each row which of them is its own."""
        encoded = self.path.dictionary_encode()
        order = pc.sort_indices(encoded.dictionary)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        return encoded.dictionary.take(order), rank[encoded.indices.to_numpy(zero_copy_only=False)]


@dataclass(frozen=True)
class SceneLabels:
    """The labels of m images with n heads, in a few flat arrays that loader workers share without copying."""

    path: pa.StringArray  # m, relative to the data root, sorted
    size: Int[Tensor, "m 2"]  # (height, width) in pixels
    start: Int[Tensor, "m+1"]  # image i owns the heads from start[i] to start[i + 1]
    head_bbox: Float[Tensor, "n 4"]  # fractions of the image
    points: Float[Tensor, "n a 2"]  # fractions; NaN where an annotator saw no target in the frame, or there is none
    inout: Float[Tensor, "n"]  # 1 or 0


def pack(rows: Rows) -> SceneLabels:
    """The answers gathered into heads, and those into images, sorted by path and head.

    Of a head's answers the first gives the box. A head whose target is outside the frame has no points;
    a head whose annotators all saw it outside is outside.

    Args:
        rows: checked rows, with the true `size` of each image.
    """
    path, image = rows.images()
    order = np.lexsort((np.arange(len(rows)), rows.head, image))
    image, head, box, gaze = image[order], rows.head[order], rows.box[order], rows.gaze[order]
    new = np.ones(len(rows), dtype=bool)  # does a head begin at this row
    new[1:] = (image[1:] != image[:-1]) | (head[1:] != head[:-1])
    first = np.flatnonzero(new)
    owner = np.cumsum(new) - 1
    annotator = np.arange(len(rows)) - first[owner]

    gaze = np.where(rows.inout[order, None] == 1, gaze, np.nan)
    points = np.full((len(first), annotator.max(initial=0) + 1, 2), np.nan, dtype=np.float32)
    points[owner, annotator] = gaze
    seen = ~np.isnan(points).all(axis=(1, 2))

    extent = np.tile(rows.size[order[first]][:, ::-1], 2)  # width, height, width, height
    size = np.zeros((len(path), 2), dtype=np.int64)
    size[image[first]] = rows.size[order[first]]
    heads_of = np.bincount(image[first], minlength=len(path))
    return SceneLabels(
        path=path,
        size=torch.from_numpy(size),
        start=torch.from_numpy(np.concatenate([[0], np.cumsum(heads_of)])),
        head_bbox=torch.from_numpy((box[first] / extent).clip(0, 1).astype(np.float32)),
        points=torch.from_numpy(points),
        inout=torch.from_numpy(seen.astype(np.float32)),
    )
