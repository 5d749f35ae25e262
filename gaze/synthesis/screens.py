"""Writes a world of screens as a table of recordings: `screens.parquet`, and beside it `devices.yaml`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gaze.recordings.sample import ScreenSample
from gaze.recordings.writer import ScreenWriter
from gaze.synthesis.counts import check_counts
from gaze.synthesis.face_boxes import EYE_MARGIN, FACE_SIDE, JITTER
from gaze.synthesis.folders import write_whole
from gaze.synthesis.manifest import Manifest
from gaze.synthesis.screen_devices import write_devices
from gaze.synthesis.screen_labels import DATASET
from gaze.synthesis.screen_world import SPLITS, ScreenWorld
from gaze.synthesis.workers import mapping

TABLE, DEVICES = "screens.parquet", "devices.yaml"
PIECE = 256  # samples that one worker makes at once
CREATED = datetime(
    2000, 1, 1, tzinfo=timezone.utc
)  # said of every file, so that the same parameters give the same bytes
LAYOUT = (
    f"{TABLE} has a row for each sample, in the columns of gaze/recordings/schema.py: crops of the face and the eyes,\n"
    "their boxes, landmarks, head pose, camera, device, orientation, the point looked at in every unit and frame, and\n"
    f"the gaze in 3D. Splits share no person. {DEVICES} describes the screens, in the form of conf/devices.yaml.\n"
    "Samples of each person's first session are marked for calibration; frames with closed eyes are not valid.\n"
    "world.json holds all parameters.\n"
)


@dataclass(frozen=True)
class Piece:
    """What one worker makes at a time."""

    world: ScreenWorld
    seed: int
    split: str
    indices: range


def write_screens(
    world: ScreenWorld,
    root: str | Path,
    counts: Mapping[str, int],
    seed: int = 0,
    workers: int = 0,
    annotators: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Write the data set; False if `root` already holds exactly this one, and nothing was done.

    The folder appears under its name when it is complete. The number of workers changes no byte.

    Args:
        world: what to draw.
        root: the folder to make.
        counts: people of each split, "train", "val" and "test".
        seed: decides all samples, together with split and number.
        workers: processes; 0 works in this one.
        annotators: 1: the point looked at is known.
        overwrite: replace a folder that was written before.
        progress: called with (samples written, samples in all).

    Raises:
        ValueError: a count is not sensible.
        UserError: the folder exists and holds something else, or can't be written.
    """
    _check(counts, seed, workers, annotators)
    manifest = Manifest(world.name, world.parameters(), seed, dict(counts), annotators)
    shown = progress or (lambda done, total: None)
    return write_whole(
        Path(root),
        manifest,
        overwrite,
        "people",
        LAYOUT,
        lambda folder: _write_table(world, folder, counts, manifest, workers, shown),
    )


def _check(counts: Mapping[str, int], seed: int, workers: int, annotators: int) -> None:
    check_counts(counts, SPLITS, seed, workers, "people", "person")
    if annotators != 1:
        raise ValueError(f"annotators is {annotators!r}; expected 1: the point that is looked at is known")


def _write_table(
    world: ScreenWorld,
    folder: Path,
    counts: Mapping[str, int],
    manifest: Manifest,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    totals = {split: counts[split] * world.frames[split] for split in sorted(counts)}  # rows are sorted by subject
    pieces = [
        Piece(world, manifest.seed, split, range(start, min(start + PIECE, total)))
        for split, total in totals.items()
        for start in range(0, total, PIECE)
    ]
    crop = {
        "face_size": world.face_size,
        "eye_size": world.eye_size,
        "margin": world.margin,
        "face_side_cm": FACE_SIDE,
        "eye_margin": EYE_MARGIN,
        "jitter": JITTER,
        "format": world.format,
    }
    source = hashlib.sha256(manifest.text().encode()).hexdigest()
    write_devices(world.devices, folder / DEVICES)
    done = 0
    progress(0, sum(totals.values()))
    table = ScreenWriter(
        folder / TABLE, dataset=DATASET, boxes="synthetic", crop=crop, source_sha256=source, created=CREATED
    )
    with table as writer, mapping(workers) as each:
        for samples in each(_make_piece, pieces):
            writer.write(samples)
            done += len(samples)
            progress(done, sum(totals.values()))


def _make_piece(piece: Piece) -> list[ScreenSample]:
    return piece.world.render(piece.seed, piece.split, piece.indices)
