"""Which samples make up which step."""

import functools
import operator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.loading import BatchPlan, Views
from gaze.seeds import mix
from tests.stubs.line import Line


def steps(plan: BatchPlan) -> list[list[int]]:
    """Samples of each step of one replica."""
    flat = [[key.sample for key in batch] for batch in plan]
    return [
        functools.reduce(operator.iadd, flat[i : i + plan.accumulate], []) for i in range(0, len(flat), plan.accumulate)
    ]


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 5))
def test_accumulation_and_replicas_divide_a_step_without_changing_it(batch_size, accumulate, replicas, epoch):
    whole = batch_size * accumulate * replicas
    plans = [BatchPlan(50, batch_size, accumulate, 7, rank, replicas) for rank in range(replicas)]
    one = BatchPlan(50, whole, seed=7)
    for plan in (*plans, one):
        plan.epoch = epoch
    together = [sorted(functools.reduce(operator.iadd, parts, [])) for parts in zip(*map(steps, plans), strict=True)]
    assert together == [sorted(step) for step in steps(one)]
    seen = functools.reduce(operator.iadd, together, [])
    assert len(seen) == len(set(seen)) == 50 // whole * whole


def test_starting_later_gives_the_same_rest():
    plan = BatchPlan(50, 4, accumulate=2, seed=1)
    plan.epoch = 3
    everything = steps(plan)
    plan.start = 2
    assert steps(plan) == everything[2:]
    assert len(plan) == len(list(plan))


def test_epochs_and_seeds_shuffle_differently():
    orders = set()
    for seed in (0, 1):
        for epoch in (0, 1):
            plan = BatchPlan(50, 50, seed=seed)
            plan.epoch = epoch
            orders.add(tuple(key.sample for batch in plan for key in batch))
    assert len(orders) == 4


@pytest.mark.fault("D9")
def test_too_few_samples_for_one_step_is_explained():
    with pytest.raises(ValueError, match=r"7 samples, fewer than one step.*= 8.*lower trainer\.batch_size"):
        BatchPlan(7, 4, accumulate=2)


def test_a_view_depends_on_seed_epoch_and_place_alone():
    plan = BatchPlan(4, 4)
    key = next(iter(plan))[0]
    views = Views(Line("train"), seed=5)
    assert (views[key].inputs.x == views[key].inputs.x).all()
    for other in (Views(Line("train"), seed=6)[key], views[key._replace(epoch=1)]):
        assert (views[key].inputs.x != other.inputs.x).any()


def test_a_sample_that_is_drawn_often_has_a_view_for_each_time_however_the_work_is_divided():
    def always(generator):
        return torch.full((8,), 3)

    def seen(*plans: BatchPlan) -> list[float]:
        batches = zip(*plans, strict=True)
        return [views[key].inputs.x[0].item() for parts in batches for part in parts for key in part]

    views = Views(Line("train"), seed=5)
    whole = seen(BatchPlan(8, 4, order=always))
    assert len(set(whole)) == 8
    later = BatchPlan(8, 4, order=always)
    later.start = 1
    assert seen(later) == whole[4:]
    assert seen(*(BatchPlan(8, 2, rank=rank, replicas=2, order=always) for rank in range(2))) == whole
    assert seen(BatchPlan(8, 2, accumulate=2, order=always)) == whole


def test_mix_depends_on_every_number_and_their_order():
    seeds = {mix(), mix(0), mix(1), mix(0, 1), mix(1, 0), mix(0, 0)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
