"""Writes a world of heads as a folder in the layout of ETH-XGaze renders: a `.h5` for each person, splits and pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import h5py
import numpy as np

from gaze.head_views.layout import SPLIT_FILE, XGAZE_TEST
from gaze.head_views.pairs import FOLDER
from gaze.synthesis.counts import check_counts
from gaze.synthesis.draws import Draws
from gaze.synthesis.folders import write_whole
from gaze.synthesis.head_labels import h5_arrays
from gaze.synthesis.head_world import SPLITS, HeadWorld
from gaze.synthesis.manifest import Manifest
from gaze.synthesis.workers import mapping

MOST_PEOPLE = 9000  # a number has four digits
ABOUT = (
    "The layout is that of the renders of ETH-XGaze: xgaze_subjectNNNN.h5 holds the pictures of one person, BGR, with\n"
    "masks, landmarks, codes, pose, camera and gaze; its attribute image_size says how large they are. Left and right\n"
    "are the picture's. pitchyaw_head is pitch and yaw in the head's frame, radians, positive pitch down, positive yaw\n"
    f"to the picture's left. {SPLIT_FILE} names the files of each split; splits share no person. Line i of\n"
    "pairs/SPLIT.txt is the row whose gaze and pose row i of the same file is to take.\n"
)


@dataclass(frozen=True)
class Person:
    """The file that one worker draws and writes at a time."""

    world: HeadWorld
    path: Path
    seed: int
    split: str
    person: int  # of the split


def write_heads(
    world: HeadWorld,
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
        seed: decides all pictures, together with split, person and row.
        workers: processes; 0 works in this one.
        annotators: 1: gaze is known.
        overwrite: replace a folder that was written before.
        progress: called with (pictures drawn, pictures in all).

    Raises:
        ValueError: a count is not sensible.
        UserError: the folder exists and holds something else, or can't be written.
    """
    check_counts(counts, SPLITS, seed, workers, "people", "person")
    if sum(counts.values()) > MOST_PEOPLE:
        raise ValueError(f"train, val and test are {sum(counts.values())} people; expected at most {MOST_PEOPLE}")
    if annotators != 1:
        raise ValueError(f"annotators is {annotators!r}; expected 1: the direction that is looked in is known")
    manifest = Manifest(world.name, world.parameters(), seed, counts, annotators)
    shown = progress or (lambda done, total: None)
    return write_whole(
        Path(root),
        manifest,
        overwrite,
        "people",
        ABOUT,
        lambda folder: _write(world, folder, counts, seed, workers, shown),
    )


def pairs_of(rows: int, seed: int, split: str) -> list[int]:
    """For each of the first half of rows, the row of the second half to take gaze and pose from.

    By the draws of all that is synthetic and not `gaze.head_views.pairs.drawn`, which draws where a data set has no list:
    each split has an order of its own, the same with any version of PyTorch.
    """
    half = rows // 2
    order = Draws(seed, f"heads/{split}/pairs", [0]).order(half)[0]
    return (order + half).tolist()


def _write(
    world: HeadWorld,
    folder: Path,
    counts: Mapping[str, int],
    seed: int,
    workers: int,
    progress: Callable[[int, int], None],
) -> None:
    # The numbers of those in the public test set, whom nobody may train on, stay free
    numbers = (number for number in count(1) if f"{number:04d}" not in XGAZE_TEST)
    people = [
        Person(world, folder / f"xgaze_subject{next(numbers):04d}.h5", seed, split, person)
        for split in SPLITS
        for person in range(counts.get(split, 0))
    ]
    files = {split: [p.path.name for p in people if p.split == split] for split in SPLITS}
    (folder / SPLIT_FILE).write_text(json.dumps(files, indent=2) + "\n")
    (folder / FOLDER).mkdir()
    for split in (s for s in SPLITS if files[s]):
        lines = [f"{row}\n" for row in pairs_of(world.rows(split), seed, split)]
        (folder / FOLDER / f"{split}.txt").write_text("".join(lines))
    done, total = 0, sum(world.rows(p.split) for p in people)
    progress(0, total)
    with mapping(workers) as each:
        for person, _ in zip(people, each(_write_person, people), strict=True):
            done += world.rows(person.split)
            progress(done, total)


def _write_person(person: Person) -> None:
    world = person.world
    shots = world.shots(person.seed, person.split, person.person, range(world.rows(person.split)))
    arrays = h5_arrays(shots, world.render(shots), world.eye_scale)
    with h5py.File(person.path, "w") as file:
        file.attrs["image_size"] = world.size
        for name, array in arrays.items():
            # ETH-XGaze's files have lzf. h5py's starts from memory as it finds it, and writes other bytes each time.
            how = {"compression": "gzip", "compression_opts": 1} if array.ndim > 2 and array.dtype == np.uint8 else {}
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), **how)
