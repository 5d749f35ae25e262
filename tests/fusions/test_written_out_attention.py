"""Attention that is written out is torch's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from gaze.fusions.direction_blocks import NormedAttention, in_products, slow_backward


@pytest.mark.parametrize("masked", [False, True])
def test_products_give_what_torchs_attention_does(masked):
    draws = torch.Generator().manual_seed(0)
    given = [torch.randn(2, 4, 9, 8, generator=draws, requires_grad=True) for _ in range(3)]
    mask = (torch.arange(9) < torch.tensor([[9], [5]]))[:, None, None] if masked else None
    answers, gradients = [], []
    for attend in (in_products, F.scaled_dot_product_attention):
        answers.append(attend(*given, mask))
        gradients.append(torch.autograd.grad(answers[-1].square().sum(), given))
    assert torch.allclose(*answers, atol=1e-6)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*gradients, strict=True))


def test_it_is_taken_for_gradients_in_bfloat16_alone_and_is_nearer_to_float32(monkeypatch):
    torch.manual_seed(0)
    layer, tokens = NormedAttention(32, 4), torch.randn(2, 50, 32)
    expected = layer(tokens)

    def error():
        with torch.autocast("cpu", torch.bfloat16):
            return float((layer(tokens) - expected).detach().square().mean())

    ours = error()
    monkeypatch.setattr("gaze.fusions.direction_blocks.slow_backward", lambda query: False)
    assert ours < 1.1 * error()
    query = torch.randn(1, 1, 4, 8, dtype=torch.bfloat16)
    assert not slow_backward(query)
    assert slow_backward(query.requires_grad_())
    assert not slow_backward(query.float())
