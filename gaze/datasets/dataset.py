"""What every dataset is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gaze.shard_order import ShardOrder
from gaze.types import Batch, Record


class Dataset(TorchDataset):
    """Samples of one split, by number.

    `sample(i, None)` is sample i as it is evaluated. `sample(i, generator)` is one augmented view
    of it, drawn from that generator alone, so that (seed, epoch, place in the epoch's order) decides it and
    the number of loader workers does not. A sample that comes twice in an epoch has two views.
    """

    @property
    def faults(self) -> Sequence[object]:
        """What was left out because it could not be used, when the data set was opened or since; runs list it."""
        return ()

    def __len__(self) -> int:
        raise NotImplementedError

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        """Sample `index`, without a batch axis; images uint8 RGB."""
        raise NotImplementedError

    def in_epoch(self, index: int, generator: torch.Generator, order: torch.Generator) -> Batch:
        """An augmented view of sample `index`, as `sample` gives it, in the epoch that `order` draws.

        Args:
            order: a generator as `Dataset.order` gets it for this epoch, for data sets whose views depend on what is
                near a sample then.
        """
        return self.sample(index, generator)

    def begun(self, index: int, generator: torch.Generator, order: torch.Generator) -> Batch:
        """The view that `in_epoch` gives, of which the work on pixels may be left for `finished`, in `Batch.later`."""
        return self.in_epoch(index, generator, order)

    def finished(self, batch: Batch, later: Record | None) -> Batch:
        """A batch of what `begun` gives, with the rest done, where the batch is.

        Args:
            batch: on the device, its images as float in [0, 1], which may be changed in place.
            later: `batch.later` on the host, whose numbers can be looked at without asking the device.
        """
        return batch

    def seen(self, index: int) -> Batch:
        """What training has for sample `index` before it is augmented: the sample, or what stands in for a lost one."""
        return self.sample(index, None)

    def order(self, generator: torch.Generator) -> Int[Tensor, "n"] | ShardOrder:
        """The samples of one epoch, as many as there are, in the order in which training takes them.

        A permutation, unless a data set has samples that should come more often; drawn from the generator alone. Of so many
        samples that a permutation is too large, one that computes its places.
        """
        return torch.randperm(len(self), generator=generator)

    def name(self, index: int) -> str:
        """What a person would call sample `index` in a message: a file, usually."""
        return f"sample {index}"

    def group(self, index: int) -> Hashable:
        """What sample `index` has in common with those it is not independent of, such as the clip of a frame."""
        return index

    def __getitem__(self, index: int) -> Batch:
        return self.sample(index, None)
