"""Sinusoidal positions."""

import pytest
import torch

from gaze.positions import Positions, sinusoid_2d


@pytest.mark.parametrize(
    ("channel", "y", "x", "value"),
    [
        (0, 3, 5, -0.9589243),
        (1, 3, 5, 0.2836622),
        (2, 3, 5, -0.9277093),
        (126, 3, 5, 0.0005774),
        (128, 3, 5, 0.1411200),
        (129, 3, 5, -0.9899925),
        (130, 3, 5, 0.5173059),
        (255, 31, 31, 0.9999936),
    ],
)
def test_published_table(channel, y, x, value):
    """Gaze-LLE's code on its 32 x 32 grid."""
    assert sinusoid_2d(256, (32, 32))[channel, y, x].item() == pytest.approx(value, abs=5e-7)  # the table is float32


def test_a_larger_grid_continues_the_same_pattern():
    assert torch.equal(sinusoid_2d(16, (9, 7))[:, :4, :5], sinusoid_2d(16, (4, 5)))


def test_channels_must_divide_by_four():
    with pytest.raises(ValueError, match="multiple of 4"):
        sinusoid_2d(18, (2, 2))


def test_positions_of_tokens_are_those_of_their_cells():
    tokens = torch.zeros(2, 5 * 7, 16)
    assert torch.equal(Positions(16)(tokens, 7), sinusoid_2d(16, (5, 7)).flatten(1).T)
    with pytest.raises(ValueError, match="expected a multiple of 4"):
        Positions(6)
