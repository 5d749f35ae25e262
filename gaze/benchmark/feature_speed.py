"""What it takes to know a picture again and to fetch what was kept of it, from memory and from disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from gaze.benchmark.clock import interleaved
from gaze.benchmark.prompt_speed import vit_b32
from gaze.benchmark.result import Cost, Result, largest
from gaze.clip.frozen import FrozenTower
from gaze.hardware import Hardware
from gaze.recall import Recall, fingerprints
from gaze.remembering.coding import CODINGS
from gaze.remembering.packing import Packing
from gaze.remembering.shelf import Shelf

PICTURES, SIZE, CHANNELS = 16, 448, 768  # of ViT-B/14: 1.6 MB in half precision
STORES = {"memory": "float16", "memory, int8": "int8", "disk": "float16", "disk, int8": "int8"}


def features(
    rounds: int, hardware: Hardware, small: bool = False, tower: Callable[[], FrozenTower] = vit_b32
) -> Iterator[Result | Cost]:
    """CLIP's ViT-B/32 asked again against what was kept of it, then the costs of keeping alone, for a larger network.

    Files are in the system's memory, as they are in epochs of data that fit there.
    """
    with tempfile.TemporaryDirectory() as home:
        yield _epoch(rounds, hardware, 4 if small else PICTURES, tower(), Path(home) / "tower")
        pictures = 4 if small else PICTURES
        images = torch.randint(256, (pictures, 3, SIZE, SIZE), device=hardware.device) / 255
        rows = torch.randn(pictures, CHANNELS, SIZE // 14, SIZE // 14)
        yield _fingerprints(rounds, hardware, images)
        yield _fetching(rounds, hardware, rows, Path(home) / "rows")


def _epoch(rounds: int, hardware: Hardware, pictures: int, clip: FrozenTower, home: Path) -> Result:
    torch.manual_seed(0)
    clip = clip.to(hardware.device)
    images = torch.randint(256, (pictures, 3, clip.side, clip.side), device=hardware.device) / 255
    packing = Packing()

    def compute(rows: Int[Tensor, "m"]) -> Tensor:
        return packing.rows(clip(images[rows.to(images.device)]))

    def kept(recall: Recall) -> Tensor:
        return recall(fingerprints(images), compute).to(images.device, torch.float32)

    recalls = _recalls(pictures, home)
    with torch.inference_mode():
        live = partial(compute, torch.arange(pictures))
        candidates: dict[str, Callable[[], Tensor]] = {"published": live}
        candidates |= {name: partial(kept, recall) for name, recall in recalls.items()}
        for name in recalls:  # the first epoch
            candidates[name]()
        expected = live()
        difference = largest(
            float((candidates[name]() - expected).norm() / expected.norm())
            for name, storage in STORES.items()
            if storage == "float16"
        )
        timings = interleaved(candidates, rounds, hardware.device)
    _close(recalls)
    return Result(
        name=f"features of CLIP ViT-B/32, epochs of {pictures} pictures after the first",
        unit="pictures",
        units=pictures,
        timings=timings,
        goals={"memory": 15.0, "disk": 15.0},
        difference=difference,
        tolerance=1e-3,
        limits={},
    )


def _fingerprints(rounds: int, hardware: Hardware, images: Tensor) -> Cost:
    candidates: dict[str, Callable[[], object]] = {
        "bare": lambda: images.sum((1, 2, 3)).cpu(),  # reads them once
        "fingerprint": lambda: fingerprints(images),
        "of whole numbers of 64 bits": lambda: weighted(images),
    }
    return Cost(
        name=f"keys of {len(images)} pictures of {SIZE} px",
        unit="picture",
        units=len(images),
        seconds=interleaved(candidates, rounds, hardware.device),
        most={"fingerprint": 1e-3},
    )


def _fetching(rounds: int, hardware: Hardware, rows: Tensor, home: Path) -> Cost:
    keys = [bytes([number]) * 16 for number in range(len(rows))]
    recalls = _recalls(len(rows), home)

    def fetch(recall: Recall) -> Tensor:
        return recall(keys, lambda numbers: rows[numbers]).to(hardware.device, torch.float32)

    candidates: dict[str, Callable[[], object]] = {"bare": partial(_copied, rows.half(), hardware.device)}
    candidates |= {name: partial(fetch, recall) for name, recall in recalls.items()}
    for call in candidates.values():
        call()
    seconds = interleaved(candidates, rounds, hardware.device)
    _close(recalls)
    return Cost(
        name=f"fetching {len(rows)} rows of {rows[0].numel()} numbers",
        unit="row",
        units=len(rows),
        seconds=seconds,
        most={},
    )


def weighted(images: Shaped[Tensor, "n ..."]) -> list[int]:
    """One weighted sum of pixels of 64 bits: what keys were made of before, with odds of 3.6 % at 10^8 pictures."""
    pixels = (images * 255).round().to(torch.int64).flatten(1)
    draws = torch.Generator().manual_seed(pixels.shape[1])
    weights = torch.randint(-(2**63), 2**63 - 1, (pixels.shape[1],), generator=draws)
    return (pixels * weights.to(pixels.device)).sum(1).tolist()  # type: ignore[no-any-return]


def _copied(rows: Tensor, device: torch.device) -> Tensor:
    """A batch of rows that lie beside each other, as what it takes at least."""
    return rows.to(device, torch.float32)


def _recalls(pictures: int, home: Path) -> dict[str, Recall]:
    found = {}
    for name, storage in STORES.items():
        shelf = None
        if name.startswith("disk"):
            shelf = Shelf(home, "features", {"storage": storage}, 10.0, pictures, "features")
        found[name] = Recall(10.0, "features", shelf, CODINGS[storage])
    return found


def _close(recalls: dict[str, Recall]) -> None:
    for recall in recalls.values():
        if isinstance(recall.kept, Shelf):
            recall.kept.close()
