"""Attention by whole products: torch's answers, in as many digits as bfloat16 has."""

import pytest
import torch
import torch.nn.functional as F

from gaze import attention
from gaze.attention import Attention, QuickAttention
from gaze.backbones.distilled_vit import DistilledViT


def heads(samples=2, count=3, tokens=300, width=16, keys=None, scale=1.0, common=0.0):
    generator = torch.Generator().manual_seed(0)
    shapes = [tokens, keys or tokens, keys or tokens]
    query, key, value = (torch.randn(samples, count, n, width, generator=generator) for n in shapes)
    return (query * scale).bfloat16(), (key + common).bfloat16(), (value + common).bfloat16()


def distance(found, expected):
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    ("changes", "most"), [({}, 1e-2), ({"keys": 290}, 1e-2), ({"scale": 8.0}, 2.5e-2), ({"common": 20.0}, 1e-2)]
)
def test_it_is_attention_and_so_are_its_gradients(changes, most):
    given = heads(**changes)
    tensors = [tensor.clone().requires_grad_() for tensor in given]
    exact = [tensor.double().requires_grad_() for tensor in given]
    gradient = torch.randn(given[0].shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = F.scaled_dot_product_attention(*exact)
    expected.backward(gradient.double())
    found = Attention.apply(*tensors)
    found.backward(gradient)
    assert distance(found.detach(), expected.detach()) < most
    for ours, theirs in zip(tensors, exact, strict=True):
        assert distance(ours.grad, theirs.grad) < 1.5 * most


def test_neither_strides_nor_how_many_heads_go_together_matter(monkeypatch):
    given = heads()
    found = Attention.apply(*given)
    strided = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in given]
    assert torch.equal(Attention.apply(*strided), found)
    monkeypatch.setattr(attention, "SCORES_BYTES", 2 * 300 * 300 * 2)  # two heads, then one
    assert torch.equal(Attention.apply(*given), found)


def test_gradients_of_gradients_are_refused():
    query, key, value = (tensor.requires_grad_() for tensor in heads(samples=1, count=1))
    (gradient,) = torch.autograd.grad(Attention.apply(query, key, value).square().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_it_takes_the_place_of_torchs_only_where_it_can(monkeypatch):
    monkeypatch.setattr(attention, "_pays", lambda: True)
    asked = []
    monkeypatch.setattr(Attention, "apply", lambda *tensors: asked.append(tensors) or tensors[0])
    query, key, value = heads()
    small = heads(tokens=100)
    with QuickAttention():
        F.scaled_dot_product_attention(*small)
        F.scaled_dot_product_attention(query, key, value, is_causal=True)
        F.scaled_dot_product_attention(query, key, value, attn_mask=torch.ones(300, 300, dtype=torch.bool))
        F.scaled_dot_product_attention(query.float(), key.float(), value.float())
        assert not asked
        F.scaled_dot_product_attention(query, key, value, dropout_p=0.0)
        with torch.autocast("cpu", torch.bfloat16):
            F.scaled_dot_product_attention(query.float(), key.float(), value.float())
        F.scaled_dot_product_attention(query=query, key=key, value=value)
        F.scaled_dot_product_attention(query, key, value, None, 0.0, False)
        assert len(asked) == 4
        F.scaled_dot_product_attention(query, key, value, None, 0.1)
        F.scaled_dot_product_attention(query, key, value, scale=0.0)
        with torch.autocast("cpu", torch.bfloat16):  # which leaves float64 alone
            assert F.scaled_dot_product_attention(*(t.double() for t in (query, key, value))).dtype == torch.float64
    assert len(asked) == 4
    assert all(tensor.dtype == torch.bfloat16 for tensors in asked for tensor in tensors)


def test_features_of_a_transformer_are_as_near_to_float32_as_autocasts(monkeypatch):
    monkeypatch.setattr(attention, "_pays", lambda: True)
    torch.manual_seed(0)
    backbone = DistilledViT(depth=3).eval().requires_grad_(False)
    for block in backbone.vit.blocks:  # of random weights no token looks at another in particular
        block.attn.qkv.weight[:384] *= 8
    image = torch.rand(1, 3, 256, 256)
    exact = backbone(image)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = distance(backbone(image), exact)
        with QuickAttention():
            ours = distance(backbone(image), exact)
    assert theirs < 5e-3
    assert ours != theirs
    assert ours < 1.5 * theirs
