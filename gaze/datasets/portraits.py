"""The photographs of a data set of heads by themselves, for a model that encodes pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.shard_order import ShardOrder
from gaze.types import Batch, FaceTargets, PictureInputs

WHITE = torch.tensor(255, dtype=torch.uint8)


class Portraits(Dataset):
    """Samples of another data set, with the head on white for an input, and the same with its masks for targets.

    An autoencoder is trained so: what it sees is what it is to draw, so that a label among the inputs is what is meant.

    Args:
        views: makes a split of a data set whose targets are `FaceTargets`.
        split: which.
    """

    def __init__(self, views: Callable[..., Dataset], split: str) -> None:
        self.views = views(split=split)

    @property
    def faults(self) -> Sequence[object]:
        """Of the data set behind it."""
        return self.views.faults

    @property
    def labels(self) -> Any:
        """Of the data set behind it, or None."""
        return getattr(self.views, "labels", None)

    def __len__(self) -> int:
        return len(self.views)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[PictureInputs, FaceTargets]:
        return _portrait(self.views.sample(index, generator))

    def in_epoch(
        self, index: int, generator: torch.Generator, order: torch.Generator
    ) -> Batch[PictureInputs, FaceTargets]:
        return _portrait(self.views.in_epoch(index, generator, order))

    def seen(self, index: int) -> Batch[PictureInputs, FaceTargets]:
        return _portrait(self.views.seen(index))

    def order(self, generator: torch.Generator) -> Int[Tensor, "n"] | ShardOrder:
        return self.views.order(generator)

    def name(self, index: int) -> str:
        return self.views.name(index)

    def group(self, index: int) -> Hashable:
        return self.views.group(index)


def _portrait(batch: Batch[Any, FaceTargets]) -> Batch[PictureInputs, FaceTargets]:
    image, mask = batch.targets.image, batch.targets.head_mask
    if mask is not None:
        image = torch.where(mask, image, WHITE)
    return Batch(PictureInputs(image), replace(batch.targets, image=image), batch.index)
