"""Which samples make up which step: a function of (seed, epoch), whatever the number of workers."""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from gaze.datasets.dataset import Dataset
from gaze.seeds import generator
from gaze.types import Batch


class Key(NamedTuple):
    """Identifies one augmented view of one sample."""

    epoch: int
    place: int  # in the epoch's order: a sample that is drawn twice has two views
    sample: int


class Order(Protocol):
    """The samples of an epoch in the order in which training takes them: a tensor, or what is sliced like one."""

    def __getitem__(self, places: slice, /) -> Tensor:
        """The samples at consecutive places."""
        ...


class Views(TorchDataset):
    """A dataset's augmented samples, each drawn from a generator of (seed, epoch, place in the order).

    Args:
        whole: do all that is to be done to a sample; False leaves `Dataset.finished` to whoever has the batch.
    """

    def __init__(self, dataset: Dataset, seed: int, whole: bool = True) -> None:
        self.dataset, self.seed, self.whole = dataset, seed, whole
        # A view that depends on no other needs no generator of the epoch.
        self.alone = type(dataset).in_epoch is Dataset.in_epoch and (whole or type(dataset).begun is Dataset.begun)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Batch:
        draws = generator(self.seed, key.epoch, key.place)
        if self.alone:
            return self.dataset.sample(key.sample, draws)
        view = self.dataset.in_epoch if self.whole else self.dataset.begun
        return view(key.sample, draws, generator(self.seed, key.epoch))


class BatchPlan(Sampler[list[Key]]):
    """The batches of this replica, step after step, from `start` on.

    The samples of a step are `accumulate * replicas * batch_size` consecutive ones of the epoch's
    order, so accumulation and replicas divide a step among themselves without changing it.
    An incomplete last step is left out: the next epoch's order will hold its samples.
    Set `epoch` and `start` (in steps) before iterating.

    Args:
        order: the samples of an epoch, drawn from a generator of (seed, epoch); None: a permutation. It is asked for the
            samples of one batch at a time, so that one that computes them (gaze/shard_order.py) is never there as a whole.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        rank: int = 0,
        replicas: int = 1,
        order: Callable[[torch.Generator], Order] | None = None,
    ) -> None:
        self.order: Callable[[torch.Generator], Order] = order or (
            lambda drawn: torch.randperm(samples, generator=drawn)
        )
        self.samples, self.batch_size, self.accumulate = samples, batch_size, accumulate
        self.seed, self.rank, self.replicas = seed, rank, replicas
        self.epoch = self.start = 0
        per_step = batch_size * accumulate * replicas
        self.steps = samples // per_step
        if self.steps == 0:
            raise ValueError(
                f"the training split has {samples} samples, fewer than one step of batch_size {batch_size} x accumulate "
                f"{accumulate} x replicas {replicas} = {per_step}; lower trainer.batch_size and "
                "trainer.accumulate, or trainer.effective_batch_size if that is given"
            )

    def __len__(self) -> int:
        return (self.steps - self.start) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        order = self.order(generator(self.seed, self.epoch))
        for batch in range(self.start * self.accumulate, self.steps * self.accumulate):
            first = (batch * self.replicas + self.rank) * self.batch_size
            samples = order[first : first + self.batch_size].tolist()
            yield [Key(self.epoch, place, sample) for place, sample in enumerate(samples, first)]


def _last_chance(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def outlive_signals(worker: int) -> None:
    """Leave Ctrl-C and the first SIGTERM to the main process, which finishes its step and ends the workers itself.

    A second SIGTERM ends the worker: that is how an interpreter that exits gets rid of it.
    SIGUSR2 makes it write its stack to stderr, which `gaze.loader` asks of one that hangs.
    """
    faulthandler.register(signal.SIGUSR2, file=2)  # the descriptor: under a test sys.stderr has none
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _last_chance)


def release(loader: DataLoader) -> None:
    """End a loader's persistent workers now; torch itself would keep them until the interpreter exits."""
    iterator = loader._iterator
    if iterator is not None and hasattr(iterator, "_shutdown_workers"):
        iterator._shutdown_workers()
    loader._iterator = None
