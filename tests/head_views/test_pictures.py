"""Pictures are made smaller by areas, and masks by pixels."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.head_views.pictures import area_means, area_resized, covered, eroded


@settings(max_examples=20, deadline=None)
@given(side=st.integers(2, 40), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_means_of_areas_keep_the_mean_and_constants(side, size, seed):
    size = min(size, side)
    values = torch.rand(2, side, side, generator=torch.Generator().manual_seed(seed))
    small = area_means(values, size)
    assert small.shape == (2, size, size)
    torch.testing.assert_close(small.mean((1, 2)), values.mean((1, 2)))
    torch.testing.assert_close(area_means(torch.ones(side, side), size), torch.ones(size, size))


def test_a_pixel_is_the_mean_of_what_it_covers():
    ramp = torch.arange(3.0).expand(3, 3)
    torch.testing.assert_close(area_means(ramp, 2)[0], torch.tensor([(0 + 0.5) / 1.5, (0.5 + 2) / 1.5]))
    image = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)
    expected = image.float().reshape(3, 2, 2, 2, 2).mean((2, 4)).add(0.5).floor().to(torch.uint8)
    assert torch.equal(area_resized(image, 2), expected)
    mask = np.zeros((4, 4), bool)
    mask[:2, :1] = True
    mask[2:, 3] = mask[3, 2] = True
    assert covered(mask, 2).tolist() == [[True, False], [False, True]]


def test_erosion_takes_every_pixel_with_a_neighbour_outside():
    mask = np.random.default_rng(0).random((12, 9)) > 0.2
    padded = np.pad(mask, 1, constant_values=True)  # beyond the picture nothing is known
    plain = np.array([[padded[i : i + 3, j : j + 3].all() for j in range(9)] for i in range(12)])
    np.testing.assert_array_equal(eroded(mask, 1), plain)
    np.testing.assert_array_equal(eroded(eroded(mask, 1), 1), eroded(mask, 2))
    np.testing.assert_array_equal(eroded(mask, 0), mask)
