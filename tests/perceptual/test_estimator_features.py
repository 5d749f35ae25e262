"""Distances by the features of another run's CNN."""

import pytest
import torch
from torch import nn

from gaze.perceptual.estimator_features import EstimatorFeatures
from tests.perceptual.networks import Lookout


def pictures(size=16):
    return torch.rand(2, 2, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_levels_are_the_last_maps_of_their_size():
    network = EstimatorFeatures(Lookout())
    found, _ = pictures()
    maps = network(found)
    assert [tuple(level.shape) for level in maps] == [(2, 6, 8, 8), (2, 12, 4, 4)]
    backbone = network.network
    torch.testing.assert_close(maps[0], backbone[1](backbone[0](found)))
    assert (maps[0] >= 0).all()  # after the activation
    assert len(EstimatorFeatures(Lookout(), levels=1)(found)) == 1
    assert not backbone._forward_hooks


class Block(nn.Module):
    """Makes the map smaller in its second layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x):
        return self.second(self.first(x))


def test_a_stage_counts_and_not_the_first_layer_of_the_next():
    model = nn.Module()
    model.backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), Block(), Block())
    network = EstimatorFeatures(model)
    network(pictures()[0])
    assert network.chosen == ["0", "1", ""]


def test_distances_by_hand_and_none_for_the_same():
    network = EstimatorFeatures(Lookout())
    found, truth = pictures()
    assert network.distance(network(found), network(found)).tolist() == [0.0, 0.0]
    made = network.distance([torch.full((2, 1, 2, 2), 3.0)], [torch.full((2, 1, 2, 2), -2.0)])
    assert made.tolist() == [2.5, 2.5]
    assert (network.distance(network(found), network(truth)) > 0).all()
    louder = network.distance([5 * m for m in network(found)], [5 * m for m in network(truth)])
    torch.testing.assert_close(louder, network.distance(network(found), network(truth)))


def test_the_gradient_reaches_the_picture_and_nothing_else():
    model = Lookout().train()
    network = EstimatorFeatures(model)
    found, truth = pictures()
    network.train()
    assert not any(module.training for module in network.network.modules())
    network.distance(network(found.requires_grad_()), network(truth)).sum().backward()
    assert found.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.parameters())


def test_pictures_are_seen_at_the_size_of_the_run():
    maps = EstimatorFeatures(Lookout(face_size=(32, 24)))(pictures()[0])
    assert tuple(maps[0].shape[-2:]) == (16, 12)
    maps = EstimatorFeatures(Lookout(face_size=(32, 24)), size=[8, 8])(pictures()[0])
    assert tuple(maps[0].shape[-2:]) == (4, 4)


def test_what_has_no_maps_is_refused():
    with pytest.raises(ValueError, match="no part 'trunk'; expected one of backbone"):
        EstimatorFeatures(Lookout(), part="trunk")
    with pytest.raises(ValueError, match=r"network\.levels is 0"):
        EstimatorFeatures(Lookout(), levels=0)
    flat = nn.Module()
    flat.backbone = nn.Sequential(nn.Flatten(), nn.Linear(768, 4))
    with pytest.raises(ValueError, match=r"feature maps of 0 sizes.*network\.model\.run"):
        EstimatorFeatures(flat)(pictures()[0])
