"""Learned codes: they spread over what they see, come back from the dead, and repeat to the bit."""

import pytest
import torch
import torch.distributed as dist

from gaze.codebooks import vq
from gaze.codebooks.vq import VectorQuantizer
from gaze.prompts.prompts import unit
from tests.groups import build, names, node


def clusters(count=16, width=16):
    """Centres of well-parted clusters, and a function that draws from them."""
    draws = torch.Generator().manual_seed(0)
    centres = unit(torch.randn(count, width, generator=draws))
    return centres, lambda n: centres[torch.randint(count, (n,))] + 0.05 * torch.randn(n, width)


def trained(steps=150, **options):
    torch.manual_seed(1)
    centres, draw = clusters()
    made = VectorQuantizer(16, codes=32, **{"dead_steps": 20, "decay": 0.9, **options})
    for _ in range(steps):
        made(draw(128))
    return made, centres


def test_codes_find_the_clusters_and_more_than_a_quarter_is_in_use():
    made, centres = trained()
    assert float(made.perplexity()) > 32 / 4
    assert (centres @ made.codes.T).amax(1).min() > 0.97
    torch.testing.assert_close(made.codes.norm(dim=-1), torch.ones(32))


def test_dead_codes_begin_anew_at_a_query():
    torch.manual_seed(0)
    here = torch.zeros(8, 4)
    here[:, 0] = 1.0
    made = VectorQuantizer(4, torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]), codes=2, decay=0.5, dead_steps=5)
    for step in range(14):
        made(here)
        if made.dead():
            dead_at = step
    assert not made.dead()
    assert dead_at < 13
    torch.testing.assert_close(made.codes, here[:2])


def test_a_resumed_codebook_ends_bit_identical():
    def go(made, steps):
        for step in steps:
            torch.manual_seed(step)  # as the trainer does
            made(clusters()[1](16))
        return made

    first = VectorQuantizer(16, codes=8, dead_steps=2, dead_share=0.9)
    state = {k: v.clone() for k, v in first.state_dict().items()}
    whole = go(first, range(12))
    again = VectorQuantizer(16, codes=8, dead_steps=2, dead_share=0.9)
    again.load_state_dict(state)
    go(again, range(5))
    later = VectorQuantizer(16, codes=8, dead_steps=2, dead_share=0.9)
    later.load_state_dict({k: v.clone() for k, v in again.state_dict().items()})
    assert all(torch.equal(a, b) for a, b in zip(whole.buffers(), go(later, range(5, 12)).buffers(), strict=True))


def test_the_gradient_goes_straight_through_and_evaluation_moves_nothing():
    torch.manual_seed(0)
    made = VectorQuantizer(8, codes=4).eval()
    before, embed = {k: v.clone() for k, v in made.state_dict().items()}, torch.randn(5, 8, requires_grad=True)
    coded = made(embed)
    torch.testing.assert_close(coded.vector, made.codes[coded.code])
    assert torch.equal(coded.code, (unit(embed) @ made.codes.T).argmax(-1))  # the query starts as the embedding
    expected = 0.25 * (unit(embed) - made.codes[coded.code]).square().sum(-1).mean()
    torch.testing.assert_close(coded.commitment, expected)
    (straight,) = torch.autograd.grad(coded.vector[:, 0].sum(), embed, retain_graph=True)
    (query,) = torch.autograd.grad(unit(embed)[:, 0].sum(), embed)
    torch.testing.assert_close(straight, query)
    coded.commitment.backward()
    assert made.query.weight.grad.any()
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())


def test_codes_start_at_their_anchors_and_the_others_near_them():
    torch.manual_seed(0)
    anchors = unit(torch.randn(8, 64))
    made = VectorQuantizer(64, anchors, codes=24)
    torch.testing.assert_close(made.codes[:8], anchors)
    near = (made.codes[8:] @ anchors.T).argmax(-1)
    assert near.tolist() == [*range(8), *range(8)]
    assert (made.codes[8:16] - made.codes[16:]).norm(dim=-1).min() > 0.1


def test_replicas_count_what_all_of_them_saw(monkeypatch):
    torch.manual_seed(0)
    alone, one = (VectorQuantizer(4, torch.eye(4), codes=4) for _ in range(2))
    queries = torch.eye(4)[[0, 0, 1, 2]]
    alone(torch.cat([queries, queries]))
    monkeypatch.setattr(vq, "_replicas", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda value: value.mul_(2))  # the other saw the same
    monkeypatch.setattr(dist, "broadcast", lambda value, src: None)
    one(queries)
    assert all(torch.equal(a, b) for a, b in zip(alone.buffers(), one.buffers(), strict=True))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="codebook.vq: codes 1, decay 0.99"):
        VectorQuantizer(4, codes=1)


@pytest.mark.parametrize("name", names("codebook"))
def test_every_config_builds_what_it_says(name):
    made = build(node("codebook", name))(8, torch.eye(8))
    assert made.text == (name in ("text", "both"))
    assert (made.vq is not None) == (name in ("vq", "both"))
    assert (made(torch.rand(3, 8)) is None) == (made.vq is None)
