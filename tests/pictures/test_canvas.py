"""Shapes cover what geometry says, and leave the rest alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.pictures.canvas import BLACK, WHITE, Canvas, Colour, dashes, shortened, text_size


def covered(draw, size=(40, 60)):
    """How much of the picture a white shape covers, in pixels."""
    canvas = Canvas(torch.zeros(3, *size, dtype=torch.uint8))
    draw(canvas)
    return canvas.pixels[0].float().sum().item() / 255


@pytest.mark.parametrize(
    ("draw", "area"),
    [
        (lambda c: c.disc((30, 20), 8, WHITE), math.pi * 64),
        (lambda c: c.ring((30, 20), 10, 3, WHITE), 2 * math.pi * 10 * 3),
        (lambda c: c.plate((10, 5, 35, 25), 0, WHITE), 25 * 20),
        (lambda c: c.plate((10, 5, 35, 25), 4, WHITE), 25 * 20 - (4 - math.pi) * 16),
        (lambda c: c.frame((10, 5, 35, 25), 0.01, 2, WHITE), 27 * 22 - 23 * 18 - (4 - math.pi)),
        (lambda c: c.line((10, 10), (40, 26), 3, WHITE), 34 * 3 + math.pi * 1.5**2),
    ],
)
def test_a_shape_covers_its_area(draw, area):
    assert covered(draw) == pytest.approx(area, rel=0.015)


def test_a_drawing_does_not_change_the_picture_it_is_of():
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    Canvas(image).disc((4, 4), 3, WHITE)
    assert not image.any()


@given(
    st.tuples(st.floats(-100, 160), st.floats(-100, 160)),
    st.tuples(st.floats(-100, 160), st.floats(-100, 160)),
    st.floats(0.1, 50),
)
@settings(deadline=None, max_examples=50, derandomize=True)
def test_nothing_fails_beyond_the_border_and_far_pixels_stay(start, end, width):
    canvas = Canvas(torch.full((3, 20, 30), 7, dtype=torch.uint8))
    canvas.line(start, end, width, WHITE)
    canvas.disc(end, width, BLACK)
    canvas.ring(start, width, 1.0, WHITE)
    canvas.text(start, "ab", 12.0, WHITE)
    canvas.frame((*start, start[0] + width, start[1] + width), 3.0, 1.0, WHITE)
    assert canvas.pixels.shape == (3, 20, 30)


def test_pixels_away_from_a_line_are_untouched():
    image = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    canvas = Canvas(image)
    canvas.line((5, 5), (50, 30), 3, WHITE)
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    length = math.hypot(45, 25)
    far = ((x - 5) * 25 - (y - 5) * 45).abs() / length > 3
    assert torch.equal(canvas.pixels[:, far], image[:, far])


def test_a_tint_mixes_by_its_strength():
    canvas = Canvas(torch.full((3, 2, 2), 100, dtype=torch.uint8))
    canvas.tint(torch.tensor([[0.0, 0.5], [1.0, 0.0]]), Colour(200, 0, 50))
    assert canvas.pixels[:, 0, 0].tolist() == [100, 100, 100]
    assert canvas.pixels[:, 0, 1].tolist() == [150, 50, 75]
    assert canvas.pixels[:, 1, 0].tolist() == [200, 0, 50]


def test_dashes_begin_and_end_with_the_line():
    found = dashes((0.0, 0.0), (30.0, 40.0), 5.0)
    assert found[0][0] == (0.0, 0.0)
    assert found[-1][1] == pytest.approx((30.0, 40.0))
    assert [math.dist(a, b) for a, b in found] == pytest.approx([50 / 11] * 6)


def test_text_that_is_too_wide_keeps_its_end():
    text = "a/long/path/to/a/picture.jpg"
    short = shortened(text, 12.0, 100)
    assert text_size(short, 12.0)[0] <= 100
    assert short.startswith("…")
    assert text.endswith(short[1:])
    assert shortened("a.jpg", 12.0, 100) == "a.jpg"
