"""Writes a world of directions as a folder in GazeHub's layout: `Label/*.label`, `Image/...` and `attributes.csv`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from scipy.spatial.transform import Rotation
from torch import Tensor

from gaze.synthesis.counts import check_counts
from gaze.synthesis.direction_layouts import LAYOUTS, PEOPLE_PER_RECORDING, Counted, Sample
from gaze.synthesis.direction_light import WORDS
from gaze.synthesis.direction_shots import Shots
from gaze.synthesis.direction_world import Crops, DirectionWorld
from gaze.synthesis.folders import write_whole
from gaze.synthesis.jpeg import QUALITY
from gaze.synthesis.manifest import Manifest
from gaze.synthesis.workers import mapping

ATTRIBUTES = "attributes.csv"
PIECE = 256  # samples that one worker makes at once
ABOUT = (
    f"{ATTRIBUTES} says for each face, in words, how it is lit, how the head is turned, how bright the wall behind it\n"
    "is, and whether a hand hides the eyes. Splits share no person. world.json holds all parameters.\n"
)


@dataclass(frozen=True)
class Piece:
    """What one worker draws and writes at a time."""

    world: DirectionWorld
    folder: Path
    like: str
    seed: int
    split: str
    indices: range
    before: Counted  # the split's first image


class Line(NamedTuple):
    """What tables say of one face."""

    tables: tuple[str, ...]
    text: str
    attributes: str


def write_directions(
    world: DirectionWorld,
    root: str | Path,
    counts: Mapping[str, int],
    seed: int = 0,
    workers: int = 0,
    annotators: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    like: str = "gaze360",
) -> bool:
    """Write the data set; False if `root` already holds exactly this one, and nothing was done.

    The folder appears under its name when it is complete. The number of workers changes no byte.

    Args:
        world: what to draw.
        root: the folder to make.
        counts: people of each split, "train", "val" and "test"; only "train" where each person is a fold.
        seed: decides all samples, together with split and number.
        workers: processes; 0 works in this one.
        annotators: 1: the direction is known.
        overwrite: replace a folder that was written before.
        progress: called with (samples drawn, samples in all).
        like: whose files these are: gaze360, mpii or eyediap.

    Raises:
        ValueError: a count is not sensible, or the layout can't hold this world.
        UserError: the folder exists and holds something else, or can't be written.
    """
    if like not in LAYOUTS:
        raise ValueError(f"like is {like!r}; expected one of {', '.join(LAYOUTS)}")
    counts = {split: count for split, count in counts.items() if split in LAYOUTS[like].splits or count != 0}
    _check(world, counts, seed, workers, annotators, like)
    manifest = Manifest(world.name, {"like": like, **world.parameters()}, seed, counts, annotators)
    shown = progress or (lambda done, total: None)
    return write_whole(
        Path(root),
        manifest,
        overwrite,
        "people",
        LAYOUTS[like].about + ABOUT,
        lambda folder: _write_pieces(world, folder, counts, seed, workers, like, shown),
    )


def _check(
    world: DirectionWorld, counts: Mapping[str, int], seed: int, workers: int, annotators: int, like: str
) -> None:
    layout = LAYOUTS[like]
    for split, count in counts.items():
        if split not in layout.splits:
            raise ValueError(f"{split} is {count!r}; expected 0: {like} has no splits, each person is a file")
        if isinstance(count, int) and count > layout.most_people:
            raise ValueError(f"{split} is {count}; expected at most {layout.most_people} people, as {like} names them")
    check_counts(counts, layout.splits, seed, workers, "people", "person")
    if annotators != 1:
        raise ValueError(f"annotators is {annotators!r}; expected 1: the direction that is looked in is known")
    if layout.normalised and not world.habits.normalised:
        raise ValueError(f"normalised is false; expected true for {like}, whose faces are normalised, or like gaze360")
    if layout.mirrors and world.clips is not None:
        raise ValueError(f"clips are given; expected null for {like}, which mirrors every other sample")


def _write_pieces(
    world: DirectionWorld,
    folder: Path,
    counts: Mapping[str, int],
    seed: int,
    workers: int,
    like: str,
    progress: Callable[[int, int], None],
) -> None:
    layout, pieces = LAYOUTS[like], []
    images = recordings = 0
    for split in (s for s in layout.splits if s in counts):
        total, before = counts[split] * world.frames[split], Counted(images, recordings)
        starts = range(0, total, PIECE)
        spans = [range(start, min(start + PIECE, total)) for start in starts]
        pieces += [Piece(world, folder, like, seed, split, span, before) for span in spans]
        images, recordings = images + total, recordings - (-counts[split] // PEOPLE_PER_RECORDING)
    tables: dict[str, list[str]] = {name: [] for name in layout.empty_tables(counts)}
    attributes = []
    done = 0
    progress(0, images)
    with mapping(workers) as each:
        for piece, lines in zip(pieces, each(_write_piece, pieces), strict=True):
            for line in lines:
                attributes.append(line.attributes)
                for table in line.tables:
                    tables.setdefault(table, []).append(line.text)
            done += len(piece.indices)
            progress(done, images)
    header = layout.header if world.eyes else layout.header.replace(" Left Right", "")
    for name, rows in tables.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([header, *rows, ""]))
    (folder / ATTRIBUTES).write_text("\n".join([",".join(["face", *WORDS]), *attributes, ""]))


def _write_piece(piece: Piece) -> list[Line]:
    """Draw and write the pictures; returns what the tables say of them."""
    world, layout = piece.world, LAYOUTS[piece.like]
    shots, crops = world.render(piece.seed, piece.split, piece.indices)
    lines, folders = [], set()
    for row, sample in enumerate(_samples(shots, piece.split, world.frames[piece.split])):
        pictures = crops.of(row)
        if layout.mirrored(sample):
            sample, pictures = _mirrored(sample, pictures)
        before = Counted(piece.before.images + int(shots.index[row]), piece.before.recordings)
        named = zip(layout.pictures(sample, before), pictures, strict=True)
        files = {name: picture for name, picture in named if picture is not None}
        names = list(files)
        for name, picture in files.items():
            path = piece.folder / "Image" / name
            if path.parent not in folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                folders.add(path.parent)
            _save(picture, path, grey=layout.grey_eyes and name != names[0])
        words = (values[i] for values, i in zip(WORDS.values(), shots.words[row].tolist(), strict=True))
        text = " ".join([*names, *layout.fields(sample, before)])
        lines.append(Line(layout.tables(sample), text, ",".join([names[0], *words])))
    return lines


def _samples(shots: Shots, split: str, per_person: int) -> list[Sample]:
    turns = Rotation.from_matrix(shots.head.numpy()).as_rotvec() if len(shots) else torch.zeros(0, 3).numpy()
    columns = zip(
        shots.person.tolist(),
        shots.session.tolist(),
        (shots.index % per_person).tolist(),
        shots.frame.tolist(),
        shots.context.tolist(),
        shots.gaze.tolist(),
        (-shots.head[..., 2]).tolist(),
        turns.tolist(),
        shots.faces.position.tolist(),
        strict=True,
    )
    return [Sample(split, *values) for values in columns]


def _mirrored(sample: Sample, crops: Crops) -> tuple[Sample, Crops]:
    """What a mirror beside the camera shows: the left eye is then the other one."""

    def flipped(vector: list[float]) -> list[float]:
        return [-vector[0], *vector[1:]]

    x, y, z = sample.turn
    told = sample._replace(
        gaze=flipped(list(sample.gaze)),
        facing=flipped(list(sample.facing)),
        eyes_cm=flipped(list(sample.eyes_cm)),
        turn=[x, -y, -z],
    )
    left, right = (None if eye is None else eye.flip(-1) for eye in crops[1:])
    return told, Crops(crops.face.flip(-1), right, left)


def _save(picture: UInt8[Tensor, "3 H W"], path: Path, grey: bool) -> None:
    # Pillow even where something faster is installed: the bytes shall not depend on that.
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    (ImageOps.equalize(image.convert("L")) if grey else image).save(path, quality=QUALITY)
