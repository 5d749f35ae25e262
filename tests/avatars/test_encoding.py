"""Waves that stand for numbers."""

import math

import torch

from gaze.avatars.encoding import WIDTH, encoded


def test_each_number_becomes_itself_and_four_octaves_of_waves():
    x = torch.tensor([0.3, -1.2])
    found = encoded(x)
    wanted = [0.3, -1.2]
    for octave in range(4):
        for wave in (math.sin, math.cos):
            wanted += [wave(2**octave * 0.3), wave(-(2**octave) * 1.2)]
    assert WIDTH == 9
    assert torch.allclose(found, torch.tensor(wanted), atol=1e-6)
    assert encoded(torch.zeros(2, 5, 3)).shape == (2, 5, 27)
