"""What codes stand for, of directions that are known."""

import math

import torch

from gaze.codebooks.meaning import meanings


def test_each_code_has_its_mean_direction_and_spread():
    side = math.sin(0.1)
    gaze = torch.tensor([[side, 0, -math.cos(0.1)], [-side, 0, -math.cos(0.1)], [1.0, 0, 0]])
    found = meanings(torch.tensor([2, 2, 0]), gaze, 4)
    assert found.pictures.tolist() == [1, 0, 2, 0]
    torch.testing.assert_close(found.gaze[2], torch.tensor([0.0, 0.0, -1.0]))
    torch.testing.assert_close(found.spread_rad[[0, 2]], torch.tensor([0.0, 0.1]))
    assert found.gaze[1].isnan().all()
    assert found.spread_rad[3].isnan()
