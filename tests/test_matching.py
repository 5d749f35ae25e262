"""What is chosen from a bank: limits, invariances and gradients of the modes."""

import math

import pytest
import torch

from gaze.matching import MOST, Matching, choose
from gaze.prompts.bank import read_banks
from gaze.prompts.prompts import Vocabulary, unit
from tests.groups import build, names, node
from tests.prompts.banks import banks

MODES = ("argmax", "st_argmax", "soft", "topk")


@pytest.fixture
def drawn():
    """Similarities of 6 pictures to 5 texts, and the vectors of these."""
    draws = torch.Generator().manual_seed(0)
    query, values = (unit(torch.randn(n, 16, generator=draws)) for n in (6, 5))
    return query @ values.T, values


def test_soft_becomes_argmax_as_the_scale_grows(drawn):
    similarity, values = drawn
    expected = choose(similarity, values, "argmax")
    for mode in ("soft", "topk", "st_argmax"):
        assert (choose(1e4 * similarity, values, mode) - expected).abs().max() < 1e-5
    assert (choose(5 * similarity, values, "soft") - expected).abs().max() > 0.1
    torch.testing.assert_close(choose(5 * similarity, values, "topk", 5), choose(5 * similarity, values, "soft"))
    torch.testing.assert_close(choose(5 * similarity, values, "topk", 1), expected)


@pytest.mark.parametrize("mode", MODES)
def test_the_order_of_a_bank_does_not_matter(drawn, mode):
    similarity, values = drawn
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        choose(20 * similarity[:, order], values[order], mode), choose(20 * similarity, values, mode)
    )


def test_texts_that_fit_alike_give_the_mean_of_the_bank(drawn):
    _, values = drawn
    torch.testing.assert_close(choose(torch.full((2, 5), 7.0), values, "soft"), values.mean(0).expand(2, -1))


@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_goes_through_the_choice_where_it_should(drawn, mode):
    similarity, values = (t.clone().requires_grad_() for t in drawn)
    choose(20 * similarity, values, mode)[:, 0].sum().backward()
    assert values.grad.any()
    assert (similarity.grad is None) == (mode == "argmax")
    if mode != "argmax":
        soft = drawn[0].clone().requires_grad_()
        choose(20 * soft, drawn[1], "soft")[:, 0].sum().backward()
        assert torch.allclose(similarity.grad, soft.grad, atol=1e-6) == (mode != "topk")


def test_a_scale_stays_within_its_range_and_trains_where_it_matters():
    made = Matching(read_banks(banks()))
    assert float(made.scale("gaze").detach()) == pytest.approx(20)
    for value, expected in ((9.0, MOST), (-3.0, 1.0)):
        made.log_scale["gaze"].data.fill_(value)
        assert float(made.scale("gaze").detach()) == pytest.approx(expected)
    assert not any(p.requires_grad for p in Matching(read_banks(banks()), mode="argmax").parameters())
    query, keys = unit(torch.randn(2, 8)), unit(torch.randn(8, 8))
    made.log_scale["gaze"].data.fill_(math.log(3.0))
    _, logits = made("gaze", query, Vocabulary(keys, keys))
    torch.testing.assert_close(logits, 3 * query @ keys.T)


def test_groupings_are_those_of_the_seed_and_of_the_release():
    contexts = ["illumination", "head_pose", "background"]
    seed, release = (Matching(read_banks(banks()), grouping=g) for g in ("seed", "release"))
    assert (seed.context, seed.aligned) == (contexts, ["gaze"])
    assert (release.context, release.aligned) == (["illumination", "background"], ["head_pose", "gaze"])
    with pytest.raises(ValueError, match=r"head_pose goes with gaze, but the banks are illumination, background, gaze"):
        Matching(read_banks(banks(head_pose=None)), grouping="release")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "hard"}, "matching.mode is 'hard'; expected one of argmax, st_argmax, soft, topk"),
        ({"mode": "topk", "k": 3}, "matching.k is 3; expected 1 to 2, the entries of the smallest bank"),
        ({"scale": 200.0}, "matching.scale is 200.0; expected a number from 1 to 100"),
        ({"grouping": "mine"}, "matching.grouping is 'mine'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Matching(read_banks(banks()), **options)


def test_every_config_builds():
    made = {name: build(node("matching", name))(read_banks(banks())) for name in names("matching")}
    assert {m.mode for m in made.values()} == set(MODES)
    assert "head_pose" in made["release"].aligned
