"""Sums by a band of ones are those of a pooling in three dimensions."""

import pytest
import torch
from torch import nn

from gaze.backbones.itracker_tower import ITrackerTower
from gaze.backbones.response_norm import ResponseNorm


def both(plain, fast, maps, amp=False):
    """Answers and gradients of two modules, of the second maybe in bfloat16."""
    found = []
    for module in (plain, fast):
        given = maps.clone().requires_grad_()
        with torch.autocast("cpu", enabled=amp and module is fast):
            said = module(given).to(maps.dtype)
        said.mul(torch.linspace(-1, 1, said.numel(), dtype=said.dtype).reshape(said.shape)).sum().backward()
        found += [said.detach(), given.grad]
    return found


@pytest.mark.parametrize(("amp", "tolerance"), [(False, 1e-6), (True, 2e-2)])
@pytest.mark.parametrize("channels", [2, 17])
def test_it_is_torchs_and_so_are_its_gradients(amp, tolerance, channels):
    maps = 100 * torch.randn(3, channels, 4, 5, generator=torch.Generator().manual_seed(0))
    plain = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    said, gradient, ours, our_gradient = both(plain, ResponseNorm(channels), maps, amp)
    for theirs, mine in ((said, ours), (gradient, our_gradient)):
        assert (theirs - mine).abs().max() <= tolerance * theirs.abs().max()


@pytest.mark.parametrize("autocast", [True, False])
def test_large_maps_in_float16_are_divided_like_any_others(autocast):
    maps = (3000 * torch.randn(2, 17, 4, 5, generator=torch.Generator().manual_seed(0))).half()
    expected = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(maps.double())
    norm = ResponseNorm(17) if autocast else ResponseNorm(17).half()
    with torch.autocast("cpu", torch.float16, enabled=autocast):
        said = norm(maps)
    assert (said.double() - expected).abs().max() <= 5e-3 * expected.abs().max()


def test_the_tower_says_what_the_published_order_of_layers_says():
    torch.manual_seed(0)
    tower = ITrackerTower(caffe=False)
    layers = list(tower.layers)
    for at in (1, 5):
        layers[at : at + 2] = reversed(layers[at : at + 2])
        layers[at + 2] = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
    assert [type(layer).__name__ for layer in layers[1:3]] == ["ReLU", "MaxPool2d"]
    image = 255 * (torch.rand(1, 3, 64, 64) - 0.5)
    said, gradient, ours, our_gradient = both(nn.Sequential(*layers), tower.layers, image)
    torch.testing.assert_close(ours, said, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(our_gradient, gradient, rtol=1e-5, atol=1e-6)


def test_checkpoints_do_not_hold_the_band():
    assert not ResponseNorm(8).state_dict()
