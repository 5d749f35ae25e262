"""What is drawn on a scene, and where."""

import pytest
import torch

from gaze.pictures.scene import COLOURS, colour_of, draw_scene

GREY = 90
HEADS = torch.tensor([[0.1, 0.2, 0.3, 0.5], [0.6, 0.5, 0.8, 0.9]])


def scene(height=160, width=240):
    return torch.full((3, height, width), GREY, dtype=torch.uint8)


def like(colour):
    """A pixel of that colour, but for an edge that may cover a part of it."""
    return pytest.approx(tuple(colour), abs=60)


def pixel(picture, x, y):
    height, width = picture.shape[-2:]
    return tuple(picture[:, int(y * height), int(x * width)].tolist())


@pytest.mark.parametrize("size", [(160, 240), (301, 111), (37, 53)])
def test_the_picture_keeps_its_size_and_the_original_its_pixels(size):
    image = scene(*size)
    drawn = draw_scene(image, HEADS, torch.rand(2, 8, 8), torch.rand(2, 2), torch.rand(2, 3, 2), torch.rand(2))
    assert drawn.shape == image.shape
    assert drawn.dtype == torch.uint8
    assert (image == GREY).all()
    assert (drawn != GREY).any()


def test_each_box_has_the_colour_of_its_person():
    drawn = draw_scene(scene(), HEADS)
    assert pixel(drawn, 0.1, 0.35) == like(COLOURS[0])
    assert pixel(drawn, 0.6, 0.7) == like(COLOURS[1])
    assert pixel(drawn, 0.2, 0.4) == (GREY,) * 3  # inside the box


def test_a_line_leads_from_the_head_to_a_dot():
    drawn = draw_scene(scene(), HEADS[:1], points=torch.tensor([[0.7, 0.35]]))
    assert pixel(drawn, 0.7, 0.35) == COLOURS[0]
    assert pixel(drawn, 0.5, 0.35) == like(COLOURS[0])
    assert pixel(drawn, 0.5, 0.6) == (GREY,) * 3


def test_a_target_out_of_frame_has_a_hollow_dot_and_a_broken_line():
    inside = draw_scene(scene(), HEADS[:1], points=torch.tensor([[0.8, 0.35]]), inout=torch.tensor([0.9]))
    outside = draw_scene(scene(), HEADS[:1], points=torch.tensor([[0.8, 0.35]]), inout=torch.tensor([0.1]))
    row = slice(80, 180)  # of the line's pixels, between box and dot
    assert (inside[:, 56, row] != GREY).any(0).all()
    assert not (outside[:, 56, row] != GREY).any(0).all()
    assert pixel(outside, 0.8, 0.35) == (255, 255, 255)


def test_a_true_point_is_a_hollow_ring_and_a_missing_one_nothing():
    nothing = draw_scene(scene(), HEADS[:1])
    missing = draw_scene(scene(), HEADS[:1], true_points=torch.full((1, 2, 2), torch.nan))
    assert torch.equal(nothing, missing)
    ring = draw_scene(scene(), HEADS[:1], true_points=torch.tensor([[[0.7, 0.7], [torch.nan, torch.nan]]]))
    assert pixel(ring, 0.7, 0.7) == (GREY,) * 3
    assert (ring != nothing).any()


def test_the_heatmap_is_strongest_at_its_peak_and_absent_where_it_is_zero():
    heatmap = torch.zeros(1, 16, 16)
    heatmap[0, 4, 12] = 0.6
    nobody = torch.full((1, 4), torch.nan)
    drawn = draw_scene(scene(), nobody, heatmap)
    change = (drawn.int() - GREY).abs().sum(0)
    assert divmod(int(change.argmax()), 240) == pytest.approx((45, 187), abs=1)  # centre of the cell
    assert torch.equal(drawn[:, 80:], scene()[:, 80:])
    assert torch.equal(draw_scene(scene(), nobody, heatmap, opacity=0.0), scene())


def test_a_heatmap_that_says_nothing_leaves_the_picture_alone():
    nobody = torch.full((1, 4), torch.nan)
    assert torch.equal(draw_scene(scene(), nobody, torch.full((1, 8, 8), 0.5)), scene())


def test_a_head_without_a_box_still_has_its_dot():
    drawn = draw_scene(scene(), torch.full((1, 4), torch.nan), points=torch.tensor([[0.5, 0.5]]))
    assert pixel(drawn, 0.5, 0.5) == COLOURS[0]


def test_nobody_is_nothing():
    none = torch.zeros(0, 4)
    assert torch.equal(
        draw_scene(scene(), none, torch.zeros(0, 1, 1), torch.zeros(0, 2), None, torch.zeros(0)), scene()
    )


def test_colours_are_distinct_and_repeat_after_seven():
    assert len(set(COLOURS)) == len(COLOURS) == 7
    assert colour_of(8) == colour_of(1)


def test_a_number_keeps_its_colour_and_label_whoever_else_is_there():
    alone = draw_scene(scene(), HEADS[1:], persons=[2])
    swapped = draw_scene(scene(), HEADS.flip(0), persons=[2, 1])
    assert pixel(alone, 0.6, 0.7) == like(COLOURS[1])
    assert torch.equal(swapped[:, :, 130:], draw_scene(scene(), HEADS, persons=[1, 2])[:, :, 130:])
    label = slice(55, 79)  # of the rows above the second head
    assert torch.equal(alone[:, label, 130:], swapped[:, label, 130:])
    assert (alone[:, label] != draw_scene(scene(), HEADS[1:])[:, label]).any()  # who is alone has no number by default
    assert pixel(draw_scene(scene(), HEADS[:1], persons=[0]), 0.1, 0.35) == like(COLOURS[-1])
