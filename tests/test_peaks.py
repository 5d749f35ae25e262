"""Reading points off heatmaps."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.heatmaps import corner_peak, gaussian_targets
from gaze.peaks import centre_peak, dark_peak

RELAXED = settings(deadline=None, max_examples=60, derandomize=True)
SIZE = 64


def logits(points, size=(SIZE, SIZE), sigma=3.0, noise=0.0):
    """Maps whose probabilities are a Gaussian at each point, x and y in cells, plus waves of a cell or two."""
    fractions = torch.as_tensor(points, dtype=torch.float64)[:, None] / torch.tensor([size[1], size[0]])
    maps = 0.9 * gaussian_targets(fractions, size, sigma)
    rough = torch.randn(maps.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.logit((maps * (1 + noise * rough)).clamp(1e-12, 1 - 1e-12))


def off(peak, heatmap, points):
    """The largest error along an axis, in cells."""
    h, w = heatmap.shape[-2:]
    cells = peak(heatmap) * torch.tensor([w, h])
    return float((cells - torch.as_tensor(points)).abs().max())


@RELAXED
@given(st.lists(st.tuples(st.floats(1.01, 63), st.floats(1.01, 63)), min_size=1, max_size=5), st.floats(1.5, 5))
def test_dark_finds_where_in_the_cell_a_gaussian_was_drawn(points, sigma):
    for dtype in (torch.float64, torch.float32):
        assert off(dark_peak, logits(points, sigma=sigma).to(dtype), points) < 0.02


@RELAXED
@given(st.floats(1.01, 47), st.floats(1.01, 31))
def test_near_the_border_too(x, y):
    """In the outermost cells there is a neighbour on one side only; everywhere else it is exact."""
    heatmap = logits([(x, y)], (32, 48))
    assert off(dark_peak, heatmap, [(x, y)]) < 0.02


def test_a_cell_at_the_border_is_read_at_its_middle_across_it():
    found = dark_peak(logits([(0.2, 20.3)])) * SIZE
    torch.testing.assert_close(found, torch.tensor([[0.5, 20.3]], dtype=torch.float64), atol=0.02, rtol=0)


def test_a_turned_and_stretched_gaussian_is_read_exactly():
    cell = torch.arange(SIZE, dtype=torch.float64) + 0.5
    y, x = torch.meshgrid(cell - 30.83, cell - 33.27, indexing="ij")
    exponent = -0.5 * (x.square() / 9 + y.square() / 16 + x * y / 10)
    heatmap = torch.logit((0.8 * exponent.exp()).clamp(min=1e-12))[None]
    assert off(dark_peak, heatmap, [(33.27, 30.83)]) < 0.02


def test_smoothing_makes_it_robust_where_single_cells_are_noisy():
    points = 10 + 44 * torch.rand(200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    heatmap = logits(points, noise=0.01)

    def rms(peak):
        return float((peak(heatmap) * SIZE - points).square().mean().sqrt())

    assert rms(dark_peak) < 0.2 < rms(centre_peak) < rms(corner_peak)


@pytest.mark.parametrize("value", [0.0, -200.0, 200.0])
def test_a_map_without_a_peak_falls_back_to_a_cells_centre(value):
    flat = torch.full((2, 16, 24), value)
    found = dark_peak(flat)
    torch.testing.assert_close(found, centre_peak(flat), atol=1.01 / 16, rtol=0)
    assert found.isfinite().all()


def test_a_saddle_falls_back_to_the_cells_centre():
    """Lower on both axes, but nearly as high along one diagonal: the expansion has no maximum."""
    around = torch.tensor([[0.99, 0.8, 0.2], [0.9, 1.0, 0.9], [0.2, 0.9, 0.99]])
    maps = F.pad(0.9 * around, (1, 1, 1, 1), value=0.1)[None]
    assert dark_peak(torch.logit(maps)).tolist() == [[0.5, 0.5]]
    maps[0, 1, 1] = maps[0, 3, 3] = 0.2  # with that diagonal low there is one, and the map is not symmetric
    assert dark_peak(torch.logit(maps)).tolist() != [[0.5, 0.5]]


def test_a_far_step_ends_at_the_neighbours():
    heatmap = logits([(20.5, 32.5)]) - 1.0
    heatmap[0, 32, 26] = 8.0  # one hot cell on the slope of a wide bump
    found = dark_peak(heatmap) * SIZE
    assert found.tolist()[0] == pytest.approx([25.5, 32.5], abs=0.05)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40)])
def test_maps_of_any_size_have_points_inside(size):
    heatmap = torch.randn(7, *size, generator=torch.Generator().manual_seed(2))
    found = dark_peak(heatmap)
    assert ((found >= 0) & (found <= 1)).all()
    assert dark_peak(heatmap[:0]).shape == (0, 2)


def test_heads_do_not_see_each_other():
    points = [(12.3, 40.1), (3.2, 60.7), (32.0, 32.0)]
    together = dark_peak(logits(points))
    alone = torch.cat([dark_peak(logits([point])) for point in points])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def test_the_centre_is_half_a_cell_from_the_corner():
    heatmap = torch.randn(3, 8, 16)
    expected = torch.tensor([0.5 / 16, 0.5 / 8]).expand(3, 2)
    torch.testing.assert_close(centre_peak(heatmap) - corner_peak(heatmap), expected)
    assert math.isclose(float(centre_peak(torch.zeros(1, 1, 1)).sum()), 1.0)
