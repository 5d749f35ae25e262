"""Writes a world of clips as a folder in the raw layout of VideoAttentionTarget (Chong et al. 2020).

`images/<show>/<clip>/<frame>.jpg` and `annotations/<split>/<show>/<clip>/<person>.txt`, with a line for each frame that
the person is in: frame file, head box and gaze in pixels, -1 where it leaves the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaze.synthesis.clip_world import ClipWorld
from gaze.synthesis.counts import check_counts
from gaze.synthesis.folders import write_whole
from gaze.synthesis.jpeg import save_jpeg
from gaze.synthesis.labels import Label
from gaze.synthesis.manifest import Manifest
from gaze.synthesis.workers import mapping

SPLITS = ("train", "test")
CLIPS_PER_SHOW = 8
BATCH_PIXELS = 32 * 448 * 448  # of the pictures that one worker draws at once: about 300 MB
LAYOUT = (
    "Layout and columns are those of VideoAttentionTarget: annotations/<split>/<show>/<clip>/<person>.txt lists frame\n"
    "file, head box (x_min, y_min, x_max, y_max) and gaze (x, y), all in pixels; a gaze that leaves the frame is -1, -1.\n"
    "A person has no line for the frames in which they are away. The frames are images/<show>/<clip>/<frame>. Splits\n"
    "share no show; a show is a folder of clips here and nothing more. world.json holds all parameters.\n"
)


@dataclass(frozen=True)
class Piece:
    """What one worker draws and writes at a time."""

    world: ClipWorld
    folder: Path
    seed: int
    split: str
    indices: range


def write_clips(
    world: ClipWorld,
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
        counts: clips of each split, "train" and "test". The layout has no val split: readers hold out shows.
        seed: decides all clips, together with split and number.
        workers: processes; 0 works in this one.
        annotators: 1, as in VideoAttentionTarget.
        overwrite: replace a folder that was written before.
        progress: called with (images written, images in all).

    Raises:
        ValueError: a count is not sensible.
        UserError: the folder exists and holds something else, or can't be written.
    """
    counts = {split: count for split, count in counts.items() if split in SPLITS or count != 0}
    _check(counts, seed, workers, annotators)
    manifest = Manifest(world.name, world.parameters(), seed, counts, annotators)
    shown = progress or (lambda done, total: None)
    return write_whole(
        Path(root),
        manifest,
        overwrite,
        "clips",
        LAYOUT,
        lambda folder: _write_pieces(world, folder, counts, seed, workers, shown),
    )


def clip_path(split: str, index: int) -> str:
    """The "show/clip" that a clip is called."""
    return f"{split} show {index // CLIPS_PER_SHOW:04d}/{index:06d}"


def frame_name(frame: int) -> str:
    """The file of a frame in its clip."""
    return f"{frame:08d}.jpg"


def _check(counts: Mapping[str, int], seed: int, workers: int, annotators: int) -> None:
    for split, count in counts.items():
        if split not in SPLITS:
            raise ValueError(
                f"{split} is {count!r}; expected 0: VideoAttentionTarget has {' and '.join(SPLITS)}, and whole shows of train "
                "are held out when it is read"
            )
    check_counts(counts, SPLITS, seed, workers, "clips", "clip")
    if annotators != 1:
        raise ValueError(f"annotators is {annotators!r}; expected 1: VideoAttentionTarget has one answer for each head")


def _write_pieces(
    world: ClipWorld,
    folder: Path,
    counts: Mapping[str, int],
    seed: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    step = max(1, BATCH_PIXELS // (world.height * world.width * world.frames))
    pieces = [
        Piece(world, folder, seed, split, range(start, min(start + step, count)))
        for split, count in counts.items()
        for start in range(0, count, step)
    ]
    done, total = 0, sum(counts.values()) * world.frames
    progress(0, total)
    with mapping(workers) as each:
        for written in each(_write_piece, pieces):
            done += written
            progress(done, total)


def _write_piece(piece: Piece) -> int:
    """Draw and write the clips; returns how many pictures they have."""
    world, count = piece.world, piece.world.frames
    images, found = world.render(piece.seed, piece.split, piece.indices)
    for place, image in enumerate(images):
        clip = clip_path(piece.split, piece.indices[place // count])
        path = piece.folder / "images" / clip / frame_name(place % count)
        save_jpeg(image, path)
    for index in piece.indices:
        folder = piece.folder / "annotations" / piece.split / clip_path(piece.split, index)
        folder.mkdir(parents=True)
        for person, lines in _people(world, [label for label in found if label.scene // count == index]).items():
            (folder / f"s{person:02d}.txt").write_text("".join(lines))
    return len(images)


def _people(world: ClipWorld, found: Sequence[Label]) -> dict[int, list[str]]:
    """The lines of each person of a clip."""
    people: dict[int, list[str]] = {}
    for label in found:
        gaze: Iterable[str] = ("-1", "-1")
        if label.inside:
            gaze = (f"{label.gaze[0] * world.width:.2f}", f"{label.gaze[1] * world.height:.2f}")
        box = (f"{v:.2f}" for v in label.head_bbox_px)
        line = ",".join([frame_name(label.scene % world.frames), *box, *gaze])
        people.setdefault(label.person, []).append(line + "\n")
    return people
