"""One view of a head after another, from HDF5 files to batches on the device, against GazeGaussian's way of reading them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result, largest
from gaze.datasets.head_views import HeadViews
from gaze.hardware import Hardware
from gaze.types import Batch, collate

VERTICES = 35_709  # of the fitted face model
STRIDE = 100
BATCH = 4
ERODE = 2
LABELS = ("facial_landmarks_3d", "latent_codes", "pose", "scale", "w2c_Rmat", "w2c_Tvec", "inmat", "pitchyaw_head")
GOALS = {None: 5.0, "lzf": 2.0, "gzip": 2.0}


def head_loader(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Files as they may be compressed, each read in one process; `limits` is the share of what HDF5 alone takes to read.

    `placed` does all that the published way does, and has the goals. `ours` ends where a loader's worker does: its 8-bit
    pictures are not yet on the device, where they become numbers.
    """
    for compression in (None,) if small else (None, "lzf", "gzip"):
        yield _measured(compression, 4 if small else 16, 256 if small else 512, rounds, hardware)


def _measured(compression: str | None, views: int, side: int, rounds: int, hardware: Hardware) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "subject0000.h5"
        write(path, views, side, compression)
        (Path(folder) / "train_test_split.json").write_text(json.dumps({"train": [path.name], "test": []}))
        heads = HeadViews(folder, "train", erode=ERODE, vertex_stride=STRIDE)
        timings = interleaved(
            {
                "published": partial(_published, path, views, hardware),
                "ours": partial(_ours, heads, views),
                "placed": partial(_placed, heads, views, hardware),
            },
            rounds,
            hardware.device,
        )
        with h5py.File(path) as file:
            alone = interleaved({"reading": partial(_pixels, file, views)}, rounds, hardware.device)
        batch = _placed(heads, views, hardware)
        theirs = published(path, views - 1, hardware)
    differences = [(batch.targets.image[-1] - theirs["image"]).abs().max()]
    differences += [(batch.targets.head_mask[-1] != theirs["head_mask"]).any()]
    differences += [(batch.targets.left_eye_mask[-1] != theirs["left_eye_mask"]).any()]
    return Result(
        name=f"loader of heads, {side} px, {compression or 'not compressed'}",
        unit="views",
        units=views,
        timings=timings,
        goals={"placed": GOALS[compression]},
        difference=largest(map(float, differences)),
        tolerance=1e-6,
        limits={"ours": alone["reading"].best / timings["ours"].best},
    )


def published(path: Path, row: int, hardware: Hardware) -> dict[str, Tensor]:
    """A view: the file is opened for it, masks are searched for all their values, and all is float before it is moved."""
    file = h5py.File(path, "r")
    image = file["face_patch"][row][..., ::-1].astype(np.float32) / 255.0
    masks = {name: file[name][row] for name in ("head_mask", "left_eye_mask", "right_eye_mask")}
    for mask in masks.values():
        np.unique(mask)
    masks["head_mask"] = eroded(masks["head_mask"], ERODE)
    solid = {name: mask.astype(np.float32) / 255.0 >= 0.5 for name, mask in masks.items()}
    image[~solid["head_mask"]] = 1.0
    labels = {name: torch.from_numpy(np.asarray(file[name][row], np.float32)) for name in LABELS}
    vertices = torch.from_numpy(file["vertice"][row][::STRIDE].astype(np.float32))
    found = {"image": torch.from_numpy(image).permute(2, 0, 1).contiguous(), "vertices": vertices, **labels}
    found |= {name: torch.from_numpy(mask) for name, mask in solid.items()}
    return {name: value.to(hardware.device) for name, value in found.items()}


def eroded(mask: np.ndarray, iterations: int) -> np.ndarray:
    """The least of 3 x 3 neighbours, so many times, on the CPU."""
    for _ in range(iterations):
        padded = np.pad(mask, 1, constant_values=255)
        lines = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
        mask = np.minimum(np.minimum(lines[:, :-2], lines[:, 1:-1]), lines[:, 2:])
    return mask


def write(path: Path, views: int, side: int, compression: str | None) -> None:
    """A file of the published layout: smooth pictures with a little noise, and a disc as head."""
    draw = np.random.default_rng(0)
    at = (np.arange(side) + 0.5) / side
    rows, columns = at[:, None], at

    def disc(x: float, y: float, radius: float) -> np.ndarray:
        inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        return np.tile(np.where(inside, 255, 0).astype(np.uint8), (views, 1, 1))

    shades = 127 + 90 * np.sin(6 * rows[..., None] + 4 * columns[:, None] + np.arange(3))
    pixels = shades + 6 * draw.normal(size=(views, side, side, 3))
    turn = np.tile(np.diag([1.0, -1.0, -1.0]), (views, 1, 1))
    camera = np.array([[3.0 * side, 0, side / 2], [0, 3.0 * side, side / 2], [0, 0, 1]])
    ahead = np.array([0.0, 0.0, 8.0])
    arrays = {
        "face_patch": pixels.clip(0, 255).astype(np.uint8),
        "head_mask": disc(0.5, 0.5, 0.4),
        "left_eye_mask": disc(0.36, 0.4, 0.06),
        "right_eye_mask": disc(0.64, 0.4, 0.06),
        "facial_landmarks_3d": draw.normal(size=(views, 68, 3)) + ahead,
        "vertice": draw.normal(size=(views, VERTICES, 3)) + ahead,
        "latent_codes": draw.normal(size=(views, 251)),
        "pose": draw.normal(0, 0.1, (views, 6)),
        "scale": np.ones((views, 1)),
        "w2c_Rmat": turn,
        "w2c_Tvec": np.tile(ahead, (views, 1)),
        "inmat": np.tile(camera, (views, 1, 1)),
        "pitchyaw_head": draw.uniform(-0.3, 0.3, (views, 2)),
        "cam_index": np.zeros((views, 1), np.uint8),
        "frame_index": np.arange(views, dtype=np.uint8)[:, None],
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression=compression)


def _published(path: Path, views: int, hardware: Hardware) -> None:
    for row in range(views):
        published(path, row, hardware)


def _ours(heads: HeadViews, views: int) -> list[Batch]:
    """What workers of a loader do."""
    return [collate([heads.sample(row, None) for row in range(at, at + BATCH)]) for at in range(0, views, BATCH)]


def _placed(heads: HeadViews, views: int, hardware: Hardware) -> Batch:
    """And what is left to the device."""
    return [hardware.place(batch) for batch in _ours(heads, views)][-1]


def _pixels(file: h5py.File, views: int) -> None:
    for row in range(views):
        for name in ("face_patch", "head_mask", "left_eye_mask", "right_eye_mask"):
            file[name][row]
