"""Writes a world of scenes as a folder in GazeFollow's layout.

Images and one annotation file per split, in the comma-separated format of GazeFollow-extended (Chong et al.
2020): train and val with the inout column, test without it and with in-frame gazes only, one line for
each annotator. GazeFollow itself has no validation split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaze.synthesis.annotations import annotation_lines
from gaze.synthesis.counts import check_counts
from gaze.synthesis.folders import write_whole
from gaze.synthesis.jpeg import save_jpeg
from gaze.synthesis.labels import Label
from gaze.synthesis.manifest import Manifest
from gaze.synthesis.scene_world import SceneWorld
from gaze.synthesis.workers import mapping

SPLITS = ("train", "val", "test")
PER_FOLDER = 1000  # images
LAYOUT = (
    "Layout and columns are those of GazeFollow-extended: <split>_annotations_release.txt lists path, idx,\n"
    "body_bbox (x, y, w, h), eye (x, y), gaze (x, y) as fractions of the image, head bbox (x_min, y_min, x_max,\n"
    "y_max) in pixels, inout (train and val only), source, meta. The val file is an extension: GazeFollow has no\n"
    "validation split. A gaze that leaves the frame is -1, -1 with inout 0; such people are not in the test file,\n"
    "so that a test image may have no line. Splits share no scene. world.json holds all parameters.\n"
)
BATCH_PIXELS = 32 * 448 * 448  # of the pictures that one worker draws at once: about 300 MB


@dataclass(frozen=True)
class Piece:
    """What one worker draws and writes at a time."""

    world: SceneWorld
    folder: Path
    seed: int
    split: str
    indices: range


def write_gazefollow(
    world: SceneWorld,
    root: str | Path,
    counts: Mapping[str, int],
    seed: int = 0,
    workers: int = 0,
    annotators: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Write the data set; False if `root` already holds exactly this one, and nothing was done.

    The folder appears under its name when it is complete: everything is written into `<root>.tmp`, which
    is renamed at the end. The number of workers changes no byte.

    Args:
        world: what to draw.
        root: the folder to make.
        counts: images of each split, "train", "val" and "test".
        seed: decides all pictures, together with split and number.
        workers: processes; 0 works in this one.
        annotators: lines for each head of the test split. The first points at the exact place, the others
            anywhere on what is looked at.
        overwrite: replace a folder that this function wrote before.
        progress: called with (images written, images in all).

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
        "images",
        LAYOUT,
        lambda folder: _write_splits(world, folder, counts, seed, workers, annotators, shown),
    )


def image_path(split: str, index: int) -> str:
    """Where an image lies, relative to the root."""
    return f"{split}/{index // PER_FOLDER:05d}/{index:08d}.jpg"


def _check(counts: Mapping[str, int], seed: int, workers: int, annotators: int) -> None:
    check_counts(counts, SPLITS, seed, workers, "images", "image")
    if not isinstance(annotators, int) or annotators < 1:
        raise ValueError(f"annotators is {annotators!r}; expected 1 or more lines for each head of the test split")


def _write_splits(
    world: SceneWorld,
    folder: Path,
    counts: Mapping[str, int],
    seed: int,
    workers: int,
    annotators: int,
    progress: Callable[[int, int], None],
) -> None:
    step = max(1, min(64, BATCH_PIXELS // (world.height * world.width)))
    pieces = [
        Piece(world, folder, seed, split, range(start, min(start + step, count)))
        for split, count in counts.items()
        for start in range(0, count, step)
    ]
    done = 0
    rows: dict[str, list[Label]] = {split: [] for split in counts}
    progress(0, sum(counts.values()))
    with mapping(workers) as each:
        for piece, labels in zip(pieces, each(_write_piece, pieces), strict=True):
            rows[piece.split].extend(labels)
            done += len(piece.indices)
            progress(done, sum(counts.values()))
    for split, labels in rows.items():
        lines = annotation_lines(world, split, seed, labels, image_path, annotators)
        (folder / f"{split}_annotations_release.txt").write_text("".join(lines))


def _write_piece(piece: Piece) -> Sequence[Label]:
    """Draw and write the images; returns their labels."""
    images, labels = piece.world.render(piece.seed, piece.split, piece.indices)
    for index, image in zip(piece.indices, images, strict=True):
        path = piece.folder / image_path(piece.split, index)
        save_jpeg(image, path)
    return labels
