"""An order of samples in shards that is computed place by place: nothing in memory grows with the samples.

What an epoch is:  the shards in a random order, and in it  windows of a few shards, all of whose samples are shuffled.
This makes one stream. It is cut into lanes of equal length, which are read side by side, `run` samples of each in turn:
loader processes whose batches are from different lanes need different shards. Whatever the number of ranks, workers and
steps taken, place p of the epoch is the same sample.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from gaze.seeds import generator

KEPT = 4  # windows beside those of the lanes whose samples stay in memory, some 8 bytes each


class ShardOrder:
    """The order of one epoch, as a sequence: `order[10:20]`.

    Memory is a few numbers per shard, and the samples of the windows that are in use. Beginning anywhere takes as long
    as beginning at the start.

    Args:
        bounds: the first sample of each shard, and behind the last the number of samples; shards may be empty.
        seed: decides everything, with the other arguments.
        window: shards whose samples are mixed.
        lanes: parts of the stream that are read side by side; as many as the largest job has loader processes, so that none
            of them reads what another does.
        run: samples that are from one lane; those of a batch, so that a batch needs one lane.
    """

    def __init__(self, bounds: Int[Tensor, "b"], seed: int, window: int = 8, lanes: int = 1, run: int = 64) -> None:
        for name, value in (("window", window), ("lanes", lanes), ("run", run)):
            if value < 1:
                raise ValueError(f"{name} of an order of shards is {value}; expected 1 or more")
        self.seed, self.lanes, self.run = seed, lanes, run
        self._bounds = bounds.numpy().astype(np.int64)
        self._samples = int(self._bounds[-1] - self._bounds[0])
        shards = len(bounds) - 1
        self._shards = torch.randperm(shards, generator=generator(seed)).numpy()  # by their place in the stream
        self._place = np.empty(shards, dtype=np.int64)
        self._place[self._shards] = np.arange(shards)
        # Evenly, so that no last window is of a shard or two: there would be nobody to mix with
        windows = -(-shards // window)
        self._first = np.arange(windows + 1) * shards // windows  # place of the first shard of each window
        ends = np.concatenate([[0], np.cumsum(np.diff(self._bounds)[self._shards])])
        self._starts = ends[self._first]  # place in the stream of the first sample of each window
        self._lane = self._samples // (lanes * run) * run  # samples of a lane that come in turns; the rest is last
        self._kept: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, places: slice) -> Int[Tensor, "k"]:
        """The samples at consecutive places of the epoch."""
        first, end, _ = places.indices(self._samples)
        parts = []
        while first < end:
            start, length = self._in_stream(first, end)
            number = int(np.searchsorted(self._starts, start, side="right")) - 1
            inside = start - int(self._starts[number])
            part = self._shuffled(number)[inside : inside + length]
            parts.append(part)
            first += len(part)
        return parts[0] if len(parts) == 1 else torch.cat([torch.empty(0, dtype=torch.int64), *parts])

    def window_of(self, sample: int) -> int:
        """The number of the window that a sample is in."""
        shard = int(np.searchsorted(self._bounds, sample, side="right")) - 1
        return int(np.searchsorted(self._first, self._place[shard], side="right")) - 1

    def near(self, sample: int) -> Int[Tensor, "k"]:
        """The samples of its window, in order."""
        return self._shuffled(self.window_of(sample)).sort().values

    def shards_of(self, window: int) -> list[int]:
        """The shards of a window; none before the first and behind the last."""
        if not 0 <= window < len(self._first) - 1:
            return []
        return list(self._shards[self._first[window] : self._first[window + 1]].tolist())

    def _in_stream(self, place: int, end: int) -> tuple[int, int]:
        """Where in the stream a place of the epoch is, and how many samples follow one another there."""
        turns = self.lanes * self._lane
        if place >= turns:
            return place, end - place
        chunk, inside = divmod(place, self.run)
        turn, lane = divmod(chunk, self.lanes)
        length = end - place if self.lanes == 1 else min(self.run - inside, end - place)
        return lane * self._lane + turn * self.run + inside, min(length, turns - place)

    def _shuffled(self, window: int) -> Int[Tensor, "k"]:
        if window not in self._kept:
            members = [np.arange(self._bounds[shard], self._bounds[shard + 1]) for shard in self.shards_of(window)]
            samples = torch.from_numpy(np.concatenate(members))
            self._kept[window] = samples[torch.randperm(len(samples), generator=generator(self.seed, window))]
            if len(self._kept) > self.lanes + KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(window)
        return self._kept[window]
