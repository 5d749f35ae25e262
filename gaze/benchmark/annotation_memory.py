"""Memory of labels: columns, as ours are, against a list of dicts for each row, as the peers' are, with two loader workers."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from gaze.benchmark.clock import Timing
from gaze.benchmark.result import Result
from gaze.datasets.annotations import Rows, SceneLabels, pack
from gaze.hardware import Hardware
from gaze.heap import give_back

ROWS, SMALL = 1_000_000, 50_000
PIECE = 10_000  # rows that are made at once, as a reader of files makes them
WORKERS = 2
GOAL = 50.0  # times less memory


def label_memory(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Bytes of one head's labels, in the process that read them and in all workers that have seen them."""
    rows = SMALL if small else ROWS
    sizes = {"published": alone(listed, rows), "columns": alone(columns, rows)}
    differences = abs(sizes["published"][2] - sizes["columns"][2])
    for place, what in enumerate(("in the parent", f"with {WORKERS} workers that have read all")):
        found = {name: float(size[place]) for name, size in sizes.items()}
        yield Result(
            name=f"labels of {rows:,} heads, {what}",
            unit="rows",
            units=rows,
            timings={name: Timing(value, value) for name, value in found.items()},
            goals={"columns": GOAL},
            difference=differences,
            tolerance=1e-3,
            limits={},
            quantity="bytes",
        )


def alone(make: Callable[[int], Any], rows: int) -> tuple[int, int, float]:
    """Bytes in a new process, bytes with its workers, and the mean of the labels' gaze as workers read them."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, make, rows).result()


def record(row: int) -> tuple[Any, ...]:
    """What a line of a label file says, the numbers of which are like no other's."""
    x, y = (row * 0.618034) % 1.0, (row * 0.754878) % 1.0
    box = (100 * x, 100 * y, 100 * x + 64.5, 100 * y + 64.5)
    return f"train/{row // 1000:08d}/{row:08d}.jpg", box, (y, x), 1.0, 480, 640


def listed(rows: int) -> list[dict[str, Any]]:
    """A dict for each row."""
    names = ("path", "bbox", "gaze", "inout", "height", "width")
    return [dict(zip(names, record(row), strict=True)) for row in range(rows)]


def columns(rows: int) -> SceneLabels:
    """Ours, with one head on each picture."""
    found = [_rows(first, min(first + PIECE, rows)) for first in range(0, rows, PIECE)]
    whole = {
        name: np.concatenate([getattr(piece, name) for piece in found])
        for name in ("source", "number", "head", "box", "gaze", "inout", "size")
    }
    path = pa.concat_arrays([piece.path for piece in found])
    return pack(Rows(files=("labels.txt",), unit="line", path=path, **whole))


def _rows(first: int, end: int) -> Rows:
    lines = []
    for row in range(first, end):
        path, box, gaze, inout, height, width = record(row)
        lines.append((0, row + 1, path, 0.0, inout, *box, *gaze, height, width))
    return Rows.of(["labels.txt"], "line", lines)


def read(labels: list[dict[str, Any]] | SceneLabels) -> float:
    """Read every row, as the workers of a loader do in an epoch; the mean of where people look, x."""
    if isinstance(labels, list):
        return sum(row["gaze"][0] + 0.0 * (len(row["path"]) + row["bbox"][3]) for row in labels) / len(labels)
    total = 0.0
    for first in range(0, len(labels.inout), PIECE):
        part = slice(first, first + PIECE)
        total += float(labels.points[part, 0, 0].double().sum() + 0 * labels.head_bbox[part].double().sum())
        total += 0.0 * sum(map(len, labels.path[part].to_pylist()))
    return total / len(labels.inout)


def _measured(make: Callable[[int], Any], rows: int) -> tuple[int, int, float]:
    """See `alone`."""
    few = make(PIECE)
    read(few)  # what is imported and set up at first use is not the labels'
    gc.collect()
    give_back()  # or what imports left behind would be taken off the labels' bytes
    before = _own()
    labels = make(rows)
    gc.collect()
    give_back()  # as our loader does before it starts its workers
    parent = _own() - before
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(WORKERS)]
    workers = [context.Process(target=_work, args=(few, labels, end)) for _, end in pipes]
    for worker in workers:
        worker.start()
    told = [start.recv() for start, _ in pipes]
    for worker in workers:
        worker.join()
    return parent, parent + sum(copied for copied, _ in told), told[0][1]


def _work(few: Any, labels: Any, end: Connection) -> None:
    read(few)
    before = _own()
    mean = read(labels)
    end.send((max(_own() - before, 0), mean))


def _own() -> int:
    """Bytes of memory that no other process shares with this one."""
    return int(psutil.Process().memory_full_info().uss)
