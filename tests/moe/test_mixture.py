"""Mixtures of experts: every way to compute one gives what its definition gives."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from gaze.moe.balance import balance_loss, max_violation
from gaze.moe.mixture import Dense, Mixture
from gaze.moe.router import Router, Routing

WIDTH, HIDDEN = 8, 16
FAST = ("loop_sorted", "padded_bmm", "grouped_mm")
SHAPES = {  # tokens (b, k), experts, top-k
    "common": ((2, 9), 8, 2),
    "more experts than tokens": ((1, 3), 16, 4),
    "all experts": ((2, 3), 4, 4),
    "one expert": ((2, 5), 4, 1),
    "one token": ((1, 1), 4, 2),
}


def mixture(experts=8, top_k=2, shared=1, **changes):
    torch.manual_seed(0)
    router = partial(Router, **{key: changes.pop(key) for key in ("score", "bias_rate", "noise") if key in changes})
    made = Mixture(WIDTH, experts, top_k, HIDDEN, shared, router, **changes)
    nn.init.normal_(made.router.weight, std=0.5)  # weights that differ
    return made


def defined(made, tokens, seen=None, most=None):
    """Section 1.8 of the reference, token by token; `most` questions to an expert, the first to come."""
    flat, found, load = tokens.flatten(0, 1), [], [0] * made.router.experts
    score = (flat @ made.router.weight).sigmoid()
    for token, scores, there in zip(
        flat, score, torch.ones(len(flat)) if seen is None else seen.flatten(), strict=True
    ):
        answer = made.shared(token)
        chosen = (scores + made.router.bias).topk(made.router.top_k).indices.tolist() if there else []
        for expert in chosen:
            load[expert] += 1
            if most is None or load[expert] <= most:
                gate, value = (token @ made.experts.up[expert]).chunk(2)
                said = (nn.functional.silu(gate) * value) @ made.experts.down[expert]
                answer = answer + scores[expert] / scores[chosen].sum() * said
        found.append(answer)
    return torch.stack(found).view_as(tokens)


def outcome(made, tokens, run):
    """Answers and all gradients."""
    tokens = tokens.clone().requires_grad_()
    made.zero_grad()
    answers = run(tokens)
    answers.sin().sum().backward()
    return [
        answers.detach(),
        tokens.grad,
        *(torch.zeros_like(p) if p.grad is None else p.grad for p in made.parameters()),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_backend_gives_the_definition_and_its_gradients(shape):
    size, experts, top_k = SHAPES[shape]
    made = mixture(experts, top_k)
    made.router.bias += torch.linspace(-3, 3, experts)  # the first experts are asked nothing, which happens
    tokens = torch.randn(*size, WIDTH)
    expected = outcome(made, tokens, lambda x: defined(made, x))
    for made.backend in ("dense", *FAST):
        torch.testing.assert_close(outcome(made, tokens, lambda x: made(x).tokens), expected, rtol=1e-5, atol=1e-5)


def test_a_capacity_leaves_the_last_to_come_without_an_answer_and_a_large_one_nobody():
    made, tokens = mixture(4, 2), torch.randn(2, 8, WIDTH)
    made.router.bias[0] = 2.0  # everybody asks the first
    free = outcome(made, tokens, lambda x: made(x).tokens)
    for made.capacity_factor, most in ((0.5, 4), (100.0, 16)):
        expected = outcome(made, tokens, lambda x: defined(made, x, most=most))  # noqa: B023 (called at once)
        for made.backend in ("dense", *FAST):
            made.restart()
            found = outcome(made, tokens, lambda x: made(x).tokens)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
            lost = (made.counts - most).clamp(min=0).sum()
            assert made.sums[3] == lost > (0 if most == 4 else -1)
    torch.testing.assert_close(found, free, rtol=1e-5, atol=1e-5)


def test_tokens_that_are_not_there_ask_nobody_and_may_be_anything():
    made, seen = mixture(4, 2), torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0]]).bool()
    tokens = torch.randn(2, 4, WIDTH)
    expected = outcome(made, tokens, lambda x: defined(made, x, seen))
    for made.backend in ("dense", *FAST):
        made.restart()
        torch.testing.assert_close(
            outcome(made, tokens, lambda x: made(x, seen).tokens), expected, rtol=1e-5, atol=1e-5
        )
        assert made.counts.sum() == 2 * seen.sum()
        spoilt = made(tokens.masked_fill(~seen[..., None], float("nan")), seen)
        torch.testing.assert_close(spoilt.tokens[seen], expected[0][seen])
    kept = mixture(4, 2)(tokens[seen][None])
    found = made(tokens, seen)
    torch.testing.assert_close([found.balance, found.router_z], [kept.balance, kept.router_z])


@pytest.mark.parametrize("backend", ["dense", *FAST])
def test_the_order_of_tokens_does_not_matter_and_answers_repeat_to_the_bit(backend):
    made, tokens, order = mixture(backend=backend), torch.randn(1, 12, WIDTH), torch.randperm(12)
    torch.testing.assert_close(made(tokens[:, order]).tokens, made(tokens).tokens[:, order], rtol=1e-5, atol=1e-6)
    once, again = (outcome(made, tokens, lambda x: made(x).tokens) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_gradients_are_those_of_differences():
    made = mixture(4, 2).double()
    for made.backend in ("loop_sorted", "padded_bmm"):
        tokens = torch.randn(1, 3, WIDTH, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: made.experts(x, *ROUTED, made.backend, None)[0], tokens[0])


ROUTED = (
    Routing(
        torch.tensor([[0, 2], [2, 1], [0, 1]]),
        torch.tensor([[0.3, 0.7], [0.4, 0.6], [0.1, 0.9]], dtype=torch.float64),
        torch.zeros(3, 4),
        torch.zeros(3, 4, dtype=torch.float64),
        torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]]),
    ),
    None,
)


@pytest.mark.parametrize("backend", FAST)
def test_half_of_the_bits_route_alike_and_answer_nearly_alike(backend):
    made, tokens = mixture(backend=backend), torch.randn(2, 9, WIDTH)
    expected = outcome(made, tokens, lambda x: made(x).tokens)
    asked = made.counts.clone()
    made.restart()
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(made, tokens, lambda x: made(x).tokens.float())
    assert torch.equal(made.counts, asked)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_what_is_asked_of_the_router_is_one_where_use_is_even_and_teaches_it(score):
    made, tokens = mixture(4, 1, score=score), torch.randn(2, 8, WIDTH)
    nn.init.zeros_(made.router.weight)
    found = made(tokens)
    torch.testing.assert_close(found.balance, torch.tensor(1.0))  # all scores alike, whatever is chosen
    z = {"sigmoid": 0.0, "softmax": torch.tensor(4.0).log() ** 2}[score]
    torch.testing.assert_close(found.router_z, torch.as_tensor(z))
    nn.init.normal_(made.router.weight)
    (made(tokens).balance + made(tokens).router_z).backward()
    assert made.router.weight.grad.abs().sum() > 0
    assert not made.router.bias.requires_grad


def test_what_is_not_there_may_be_no_number_and_teaches_the_router_nothing():
    tokens, seen = torch.randn(2, 9, WIDTH), torch.ones(2, 9, dtype=torch.bool)
    seen[0, 0] = False
    found = []
    for value in (0.0, torch.nan):
        made = mixture()
        tokens[0, 0] = value
        asked = made(tokens, seen)
        (asked.balance + asked.router_z).backward()
        found.append((asked.balance.detach(), asked.router_z.detach(), made.router.weight.grad))
    torch.testing.assert_close(found[1], found[0])


def test_a_sequence_may_be_uneven_where_a_batch_is_even():
    picked = torch.eye(2).repeat_interleave(3, 0)  # one sequence asks the first expert only, the other the second
    routing = Routing(torch.zeros(6, 1).long(), torch.ones(6, 1), picked, picked, picked)
    assert balance_loss(routing, None, (2, 3), "batch") == 1
    assert balance_loss(routing, None, (2, 3), "sequence") == 2


def test_the_bias_balances_a_skewed_router():
    made = mixture(8, 2, bias_rate=1e-3)
    draws, lean = torch.Generator().manual_seed(1), torch.randn(WIDTH)
    nn.init.normal_(made.router.weight, std=0.1)
    with torch.no_grad():
        made.router.weight[:, 0] += 0.3 * lean / lean.norm()
        made.router.weight[:, 1] += 0.3 * lean / lean.norm()

    def unrest():
        tokens = torch.randn(4096, WIDTH, generator=draws) + lean / lean.norm()
        return float(max_violation(made.router(tokens).picked.sum(0)))

    assert unrest() > 0.8
    for _ in range(1000):
        made.router.settle(made.router(torch.randn(64, WIDTH, generator=draws) + lean / lean.norm()).picked.sum(0))
    assert unrest() < 0.2
    assert abs(float(made.router.bias.mean())) < 1e-6
    assert "router.bias" in made.state_dict()


def test_in_evaluation_nothing_is_counted_and_copies_count_for_themselves():
    made = mixture().eval()
    made(torch.randn(1, 4, WIDTH))
    assert made.counts.sum() == 0
    made.train()(torch.randn(1, 4, WIDTH))
    assert made.counts.sum() == 8
    assert made.half().counts.dtype == torch.float32


def test_a_perceptron_in_its_place_is_as_wide_as_the_experts_in_use():
    dense, made = Dense(WIDTH, 8, 2, HIDDEN, shared=1), mixture(8, 2, shared=1)
    used = sum(p[0].numel() * 2 for p in made.experts.parameters()) + sum(p.numel() for p in made.shared.parameters())
    assert sum(p.numel() for p in dense.parameters()) == used
    assert dense(torch.randn(1, 4, WIDTH)).balance is None


def test_settings_that_fit_nothing_are_sentences():
    with pytest.raises(ValueError, match="top_k is 5 of 4 experts"):
        mixture(4, 5)
    with pytest.raises(ValueError, match="capacity_factor is 0"):
        mixture(capacity_factor=0.0)
    with pytest.raises(ValueError, match="8 x 12; expected multiples of 8"):
        Mixture(WIDTH, 4, 2, 12, backend="grouped_mm")
    with pytest.raises(ValueError, match=r"backend is 'fast'; expected one of auto, loop_sorted"):
        mixture(backend="fast")
