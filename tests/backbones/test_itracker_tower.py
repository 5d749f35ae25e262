"""Classic iTracker's tower."""

import torch

from gaze.backbones.itracker_tower import ITrackerTower


def test_maps_and_size_are_the_published_ones():
    torch.manual_seed(0)
    tower = ITrackerTower()
    maps = tower(torch.rand(1, 3, 224, 224))
    assert maps.shape == (1, 64, 12, 12)
    assert sum(p.numel() for p in tower.parameters()) == 1_252_160
    assert 0.01 < maps.std() < 100  # Caffe's first weights are meant for pixels up to 255
    maps.sum().backward()
    assert all(p.grad.any() for p in tower.parameters())
