"""Does an exported file say what the model says, and how fast?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gaze.export.exported import Exported
from gaze.export.facts import ExportError
from gaze.export.naming import probabilities
from gaze.types import SceneInputs

# Images and people: each alone, several, images without anybody, and enough people for vectorised code paths.
COUNTS = ((1, 1), (1, 4), (2, 3), (3, 5), (4, 2), (1, 33))
TIMED = ((1, 1), (1, 4))  # images and people
SECONDS, FEWEST, MOST = 1.0, 3, 50  # of measuring each latency, and how many repetitions


class Latency(NamedTuple):
    """Median milliseconds for a number of people in one picture, one thread."""

    people: int
    torch_ms: float
    exported_ms: float


def scene(images: int, people: int, size: Sequence[int], seed: int = 0) -> SceneInputs:
    """Noise with head boxes of all kinds: usual, on a border, beyond it, of less than a cell, and none (NaN)."""
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(people, 2, generator=rng)
    boxes = torch.cat([corner, corner + 0.02 + 0.3 * torch.rand(people, 2, generator=rng)], 1)
    odd = torch.tensor([[torch.nan] * 4, [-0.05, 0.1, 0.2, 0.3], [0.5, 0.5, 0.501, 0.501], [0.0, 0.0, 1.0, 1.0]])
    for i in range(1, people, 2):  # the first is usual
        boxes[i] = odd[i // 2 % len(odd)]
    image = torch.randint(0, 256, (images, 3, *size), dtype=torch.uint8, generator=rng)
    return SceneInputs(image, boxes, torch.randint(0, images, (people,), generator=rng))


@torch.no_grad()
def reference(model: nn.Module, inputs: SceneInputs) -> dict[str, Tensor]:
    """What PyTorch says about uint8 pictures."""
    return probabilities(model(SceneInputs(inputs.image.float() / 255, inputs.head_bbox, inputs.image_index)))


def largest_difference(model: nn.Module, exported: Exported) -> float:
    """The largest difference of any probability, over scenes of several numbers of images and people.

    Raises:
        ExportError: the outputs have other names or shapes, or are not finite.
    """
    largest = 0.0
    for seed, (images, people) in enumerate(COUNTS):
        asked = scene(images, people, exported.facts.image_size, seed)
        wanted = reference(model, asked)
        try:
            found = exported.probabilities(asked)
        except Exception as error:  # each runtime fails in its own way
            raise ExportError(f"the file fails on {images} images with {people} people: {error}") from error
        shapes = [{name: tuple(t.shape) for name, t in outputs.items()} for outputs in (wanted, found)]
        if shapes[0] != shapes[1]:
            raise ExportError(
                f"the file gives {shapes[1]} for {images} images with {people} people; expected {shapes[0]}"
            )
        for name, value in wanted.items():
            difference = (found[name] - value).abs().max().item()
            if not difference < float("inf"):
                raise ExportError(f"{name} of {images} images with {people} people is not finite in the file")
            largest = max(largest, difference)
    return largest


def latencies(model: nn.Module, exported: Exported) -> list[Latency]:
    """How long the model in PyTorch, and the file, take for one picture. Open the file inside `one_thread`."""
    found = []
    for images, people in TIMED:
        asked = scene(images, people, exported.facts.image_size)
        inputs, _ = exported.naming.pack(asked)
        with one_thread():
            eager = _median_ms(lambda asked=asked: reference(model, asked))  # type: ignore[misc]
            found.append(Latency(people, eager, _median_ms(lambda inputs=inputs: exported.call(inputs))))  # type: ignore[misc]
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, and sessions that are opened inside, use one CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median_ms(call: Callable[[], object]) -> float:
    call()
    times: list[float] = []
    while len(times) < FEWEST or (sum(times) < SECONDS and len(times) < MOST):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)
