import pytest
import torch

from gaze.synthesis.draws import Draws


def test_a_scene_draws_the_same_in_any_company():
    together = Draws(3, "train", [0, 5, 9]).uniform(-1, 1, 4, 2)
    alone = Draws(3, "train", [5]).uniform(-1, 1, 4, 2)
    assert torch.equal(together[1:2], alone)


def test_draws_follow_each_other():
    draws = Draws(3, "train", [5])
    first, second = draws.uniform(0, 1, 3), draws.uniform(0, 1, 3)
    assert torch.equal(torch.cat([first, second], 1), Draws(3, "train", [5]).uniform(0, 1, 6))
    assert not torch.equal(first, second)


def test_seeds_streams_and_indices_give_distinct_numbers():
    tables = [Draws(seed, stream, range(20_000)) for seed in (0, 1) for stream in ("train", "val", "test")]
    numbers = torch.cat([table.uniform(0, 1) for table in tables])
    assert len(numbers.unique()) == len(numbers)


def test_numbers_are_uniform_and_neighbours_independent():
    numbers = Draws(0, "train", range(20_000)).uniform(0, 1, 2)
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.01)
    assert numbers.var().item() == pytest.approx(1 / 12, abs=0.003)
    assert abs(torch.corrcoef(numbers.T)[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([numbers[:-1, 0], numbers[1:, 0]]))[0, 1]) < 0.03


def test_integers_cover_both_ends():
    assert Draws(0, "x", range(500)).integers(2, 4).unique().tolist() == [2, 3, 4]


def test_order_is_a_permutation():
    order = Draws(0, "x", range(50)).order(6)
    assert torch.equal(order.sort(1).values, torch.arange(6).expand(50, 6))
    assert len({tuple(row) for row in order.tolist()}) > 30


def test_normal_numbers_have_the_moments_of_their_distribution():
    numbers = Draws(0, "train", range(20_000)).normal(2)
    assert numbers.mean().item() == pytest.approx(0, abs=0.02)
    assert numbers.var().item() == pytest.approx(1, abs=0.03)
    assert numbers.pow(4).mean().item() == pytest.approx(3, abs=0.15)
    assert abs(torch.corrcoef(numbers.T)[0, 1]) < 0.03
    assert torch.equal(numbers[5:6], Draws(0, "train", [5]).normal(2))
