"""A network of points and codes, against the plain form that repeats the code for every point."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.avatars.point_mlp import PointMLP, neutral


def plain(net, points, code, b):
    """Concatenate, pass every layer; the input once more before layer (n + 1) // 2 of the published notation."""
    seen = points.expand(b, -1, -1)
    if code is not None:
        seen = torch.cat([seen, code[:, None].expand(-1, seen.shape[1], -1)], -1)
    hidden = seen
    for i, layer in enumerate(net.layers):
        hidden = torch.cat([F.leaky_relu(hidden, 0.01), seen], -1) if i == net.skip else hidden
        if i and i != net.skip:
            hidden = F.leaky_relu(hidden, 0.01)
        hidden = F.linear(hidden, layer.weight, layer.bias)
    return hidden


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 5), st.sampled_from([0, 3]), st.booleans(), st.integers(0, 99))
def test_what_samples_share_is_computed_once_and_nothing_changes(depth, code_width, shared, seed):
    torch.manual_seed(seed)
    net = PointMLP(4, code_width, [6] * depth, 2)
    points = torch.randn(1 if shared else 2, 5, 4)
    code = torch.randn(2, code_width) if code_width else None
    b = 2 if code_width or not shared else 1
    assert torch.allclose(net(points, code), plain(net, points, code, b), atol=1e-5)


@pytest.mark.parametrize(("widths", "layer"), [([256] * 5, 3), ([256, 256], 2), ([128], 1)])
def test_the_input_comes_again_where_it_is_published(widths, layer):
    # [d0, ..., dn] has len(widths) + 2 entries; the layer is half of that, rounded down.
    net = PointMLP(27, 144, widths, 3)
    assert net.skip == layer
    assert net.layers[layer].in_features == widths[0] + 171


def test_a_network_can_begin_with_nothing():
    net = PointMLP(4, 3, [6, 6], 2, last_zero=True)
    assert net(torch.randn(2, 5, 4), torch.randn(2, 3)).abs().max() == 0


def test_values_before_their_tanh_are_finite():
    x = torch.tensor([-1.0, -0.5, 0.0, 0.9, 1.0])
    found = neutral(x)
    assert found.isfinite().all()
    assert torch.allclose(found.tanh(), x, atol=2e-5)
