"""What of an augmentation is left for the device, where a whole batch is changed at once.

A data set draws everything that is random sample by sample, so that (seed, epoch, place in the order) decides it, and hands on a
small record of numbers in `Batch.later`. `Dataset.finished` then changes the pictures of a batch, on the device, by these
numbers. Where no device is to do it, `at_once` does the same for one sample: there is one implementation of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.types import Batch, Record, collate

if TYPE_CHECKING:
    from gaze.datasets.dataset import Dataset

_FEW = 4  # pictures
V = TypeVar("V")


@dataclass(frozen=True)
class Drawn(Record):
    """The numbers of all changes of pixels that are left, one change behind the other."""

    numbers: Float[Tensor, "*b k"]


class PixelChange:
    """A change of pictures that is drawn for each and made for a batch; labels stay.

    `draw` gives as many numbers as `count` says, also where nothing is to change; then they are what changes nothing.
    """

    acts_on: ClassVar[str] = "pixels"
    count: ClassVar[int]

    def draw(self, generator: torch.Generator) -> list[float]:
        """The numbers of one sample."""
        raise NotImplementedError

    def apply(
        self, pictures: Float[Tensor, "b 3 h w"], numbers: Float[Tensor, "b k"], known: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b 3 h w"]:
        """The pictures changed, maybe in place.

        Args:
            numbers: of each picture, on its device.
            known: the same on the host, which may look at them.
        """
        raise NotImplementedError


def first_left(augmentations: Sequence[object]) -> int:
    """From which place on a list of augmentations changes nothing but pixels and labels."""
    place = len(augmentations)
    while place and getattr(augmentations[place - 1], "acts_on", "anything") in ("pixels", "labels"):
        place -= 1
    return place


def pixel_changes(augmentations: Sequence[object]) -> list[PixelChange]:
    """The changes of pixels that are left, in order."""
    return [a for a in augmentations[first_left(augmentations) :] if isinstance(a, PixelChange)]


def changed(view: V, augmentations: Sequence[Callable[[V, torch.Generator], V]], generator: torch.Generator) -> V:
    """The view after all augmentations but the changes of pixels that are left."""
    delayed = first_left(augmentations)
    for step, augment in enumerate(augmentations):
        if step < delayed or not isinstance(augment, PixelChange):
            view = augment(view, generator)
    return view


def drawn(changes: Sequence[PixelChange], generator: torch.Generator) -> Drawn | None:
    """The numbers of all changes for one sample; None if there are no changes."""
    if not changes:
        return None
    return Drawn(torch.tensor([number for change in changes for number in change.draw(generator)]))


def applied(
    changes: Sequence[PixelChange],
    pictures: Float[Tensor, "*b 3 h w"],
    later: Record | None,
    host: Record,
) -> Float[Tensor, "*b 3 h w"]:
    """Pictures, or clips of them, after all changes, maybe in place; those of a clip change alike.

    Args:
        later, host: their numbers, on the pictures' device and on the host.
    """
    assert isinstance(later, Drawn)
    assert isinstance(host, Drawn)
    numbers, known = later.numbers, host.numbers
    shape = pictures.shape
    if pictures.dim() > 4:
        pictures = pictures.flatten(0, 1)
        numbers, known = (n.repeat_interleave(shape[1], 0) for n in (numbers, known))
    # On a CPU a few at a time, whose intermediate results stay in its caches
    at_a_time = _FEW if pictures.device.type == "cpu" else max(len(pictures), 1)
    counts = [change.count for change in changes]
    for first in range(0, len(pictures), at_a_time):
        rows = slice(first, first + at_a_time)
        some = pictures[rows]
        for change, own, told in zip(
            changes, numbers[rows].split(counts, 1), known[rows].split(counts, 1), strict=True
        ):
            some = change.apply(some, own, told)
        pictures[rows] = some
    return pictures.view(shape)


def alone(change: PixelChange, images: tuple[Tensor, ...], numbers: list[float]) -> tuple[Tensor, ...]:
    """8-bit pictures, which may differ in size, after one change, each rounded once."""
    told = torch.tensor([numbers])
    return tuple(as_bytes(change.apply(image[None].float().div_(255), told, told)[0]) for image in images)


def at_once(data: Dataset, sample: Batch) -> Batch:
    """A sample with what is left of it done, in 8 bits again."""
    if sample.later is None:
        return sample
    inputs, later = collate([sample.inputs]), collate([sample.later])  # labels stay
    done = data.finished(replace(sample, inputs=inputs.map(_as_floats), later=later.map(_as_floats)), later).inputs
    was = {f.name: getattr(sample.inputs, f.name) for f in fields(sample.inputs)}
    new = {
        name: as_bytes(getattr(done, name)[0])
        for name, value in was.items()
        if isinstance(value, Tensor) and value.dtype == torch.uint8
    }
    return replace(sample, inputs=replace(sample.inputs, **new), later=None)


def as_bytes(picture: Float[Tensor, "... h w"]) -> Tensor:
    """A picture of floats from 0 to 1 in 8 bits."""
    return (picture * 255).round_().clamp_(0, 255).to(torch.uint8)


def _as_floats(tensor: Tensor) -> Tensor:
    return tensor.float().div_(255) if tensor.dtype == torch.uint8 else tensor
