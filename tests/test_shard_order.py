"""An order that is computed place by place: a permutation, the same for any number of ranks, workers and steps taken."""

from __future__ import annotations

import time
import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.loading import BatchPlan
from gaze.seeds import generator
from gaze.shard_order import ShardOrder


def bounds(*sizes: int) -> torch.Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 7),
)
def test_every_sample_has_one_place_and_any_slice_is_part_of_the_whole(sizes, window, lanes, run, step):
    order = ShardOrder(bounds(*sizes), 3, window, lanes, run)
    whole = order[0 : len(order)].tolist()
    assert sorted(whole) == list(range(sum(sizes)))
    assert [s for first in range(0, len(order), step) for s in order[first : first + step].tolist()] == whole
    anew = ShardOrder(bounds(*sizes), 3, window, lanes, run)
    assert anew[len(whole) // 2 : len(whole)].tolist() == whole[len(whole) // 2 :], "begun in the middle"


def test_a_lane_reads_few_shards_at_a_time_and_lanes_are_apart():
    order = ShardOrder(bounds(*[16] * 64), seed=1, window=4, lanes=2, run=8)
    turns = torch.arange(1024).reshape(-1, 2, 8)  # places: turn, lane, sample of the run
    shards = torch.stack([order[int(t[0]) : int(t[-1]) + 1] for t in turns.flatten(0, 1)]).reshape(-1, 2, 8) // 16
    for lane in (0, 1):
        for begun in range(0, 64, 8):  # as many samples as a window has
            assert len(shards[begun : begun + 8, lane].unique()) == 4
    assert not set(shards[:, 0].flatten().tolist()) & set(shards[:, 1].flatten().tolist())


def test_a_sample_knows_its_window_and_who_is_near():
    order = ShardOrder(bounds(3, 5, 0, 4), seed=2, window=2)
    for window in range(2):
        assert order.window_of(int(order.near(0)[0])) == order.window_of(0)
        members = {
            s for shard in order.shards_of(window) for s in range(*bounds(3, 5, 0, 4)[shard : shard + 2].tolist())
        }
        assert members == {s for s in range(12) if order.window_of(s) == window}
        assert all(order.near(s).tolist() == sorted(members) for s in members)
    assert len(order.shards_of(2)) == 0


@pytest.mark.parametrize("name", ["window", "lanes", "run"])
def test_what_can_not_be_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} of an order of shards is 0; expected 1 or more"):
        ShardOrder(bounds(4), 0, **{name: 0})


def test_1024_ranks_with_8_workers_take_every_sample_once_in_the_order_of_one_process():
    """Three epochs, without any data. Workers of a rank take its batches in turn, and the plan does not know them."""
    ranks, workers, batch = 1024, 8, 4
    samples = ranks * workers * batch
    shards = bounds(*[64] * (samples // 64))

    def order(drawn):
        return ShardOrder(shards, drawn.initial_seed(), window=8, lanes=64, run=batch)

    kept = {}  # of each epoch, as every rank would compute it
    shared = lambda drawn: kept.setdefault(drawn.initial_seed(), order(drawn))  # noqa: E731
    for epoch in range(3):
        expected = order(generator(5, epoch))[0:samples].reshape(-1, batch).tolist()  # batches of one process
        taken = {}  # (worker's turn, rank) -> samples
        for rank in range(ranks):
            plan = BatchPlan(samples, batch, seed=5, rank=rank, replicas=ranks, order=shared if rank else order)
            plan.epoch = epoch
            for turn, keys in enumerate(plan):
                taken[turn, rank] = [key.sample for key in keys]
        assert [taken[key] for key in sorted(taken)] == expected
        assert sorted(s for keys in expected for s in keys) == list(range(samples))
        late = BatchPlan(samples, batch, seed=5, rank=1023, replicas=ranks, order=shared)
        late.epoch, late.start = epoch, 6
        assert [[key.sample for key in keys] for keys in late] == [taken[6, 1023], taken[7, 1023]], "resumed at step 6"


def test_a_hundred_million_samples_cost_what_their_shards_do():
    samples, shard = 100_000_000, 1024
    shards = torch.arange(0, samples + shard, shard).clamp(max=samples)
    tracemalloc.start()
    begun = time.process_time()
    plan = BatchPlan(
        samples, 256, order=lambda drawn: ShardOrder(shards, drawn.initial_seed(), window=8, lanes=16, run=256)
    )
    plan.start = plan.steps - 3
    last = [[key.sample for key in keys] for keys in plan]
    took, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({s for keys in last for s in keys}) == 3 * 256
    assert took < 1.0, f"{took:.2f} s of processor time to begin near the end"
    assert peak < 20e6, f"{peak / 1e6:.0f} MB for an order of 100 million samples"
