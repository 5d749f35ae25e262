"""Crops: where they come from, what is outside the frame, turned frames."""

import math

import pytest
import torch

from gaze.datasets.crops import crop_box, crop_boxes
from gaze.datasets.image import resize
from gaze.geometry import plane_to_camera, turn_with_image


def frame(height=48, width=64, seed=0):
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def ramp(height=40, width=60):
    """Red says x and green says y, in pixels of which the first has its middle at 0.5."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (4 * torch.stack([x, y, torch.zeros_like(x)])).to(torch.uint8)


def dot(x, y, height=101, width=121):
    """A soft white dot around a place in px."""
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    light = torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return (255 * light).round().to(torch.uint8).expand(3, height, width)


def brightest(image):
    """The (x, y) of the middle of the light, px."""
    light = image[0].double()
    rows, columns = torch.arange(light.shape[0]) + 0.5, torch.arange(light.shape[1]) + 0.5
    return [(light.sum(0) * columns).sum() / light.sum(), (light.sum(1) * rows).sum() / light.sum()]


@pytest.mark.parametrize("size", [(20, 30), (10, 15), (41, 33)])
def test_a_box_on_whole_pixels_is_a_slice_and_a_resize(size):
    image = frame()
    crop = crop_box(image, (8, 4, 30, 20), size)
    assert (crop.int() - resize(image[:, 4:24, 8:38], size).int()).abs().max() <= 1
    assert torch.equal(crop_box(image, (0, 0, 64, 48), (48, 64)), image)


def test_a_box_between_pixels_is_not_rounded():
    image = ramp()
    whole, shifted = crop_box(image, (10, 8, 16, 16), (16, 16)), crop_box(image, (10.5, 8.25, 16, 16), (16, 16))
    moved = (shifted.int() - whole.int())[:, 1:-1, 1:-1].float().mean((1, 2))
    assert moved[:2].tolist() == pytest.approx([2, 1], abs=0.2)  # 4 levels to the pixel


def test_shrinking_averages():
    stripes = torch.zeros(3, 32, 32, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    small = crop_box(stripes, (0, 0, 32, 32), (4, 4))
    assert (small.int() - 127).abs().max() <= 6


@pytest.mark.parametrize(
    "box", [(-10, -5, 30, 30), (50, 40, 30, 20), (-10, 10, 84, 8), (10, -40, 20, 20), (70, 60, 8, 4)]
)
def test_outside_the_frame_its_border_repeats_or_is_black(box):
    image = frame()
    x, y, width, height = box
    rows, columns = torch.arange(y, y + height), torch.arange(x, x + width)
    expected = image[:, rows.clamp(0, 47)][:, :, columns.clamp(0, 63)]
    assert torch.equal(crop_box(image, box, (height, width)), expected)
    outside = ((rows < 0) | (rows > 47))[:, None] | (columns < 0) | (columns > 63)
    black = crop_box(image, box, (height, width), padding="black")
    assert torch.equal(black, expected.masked_fill(outside, 0))


@pytest.mark.parametrize("padding", ["replicate", "black"])
def test_a_turn_of_nearly_nothing_changes_nothing(padding):
    image = frame()
    straight = crop_box(image, (-4.5, 6, 30, 50), (25, 15), padding)
    turned = crop_box(image, (-4.5, 6, 30, 50), (25, 15), padding, angle_rad=1e-7)
    assert (straight.int() - turned.int()).abs().max() <= 1


def test_frames_turn_counter_clockwise_about_their_middle():
    image = frame(48, 48)
    quarter = crop_box(image, (0, 0, 48, 48), (48, 48), angle_rad=math.pi / 2)
    assert (quarter.int() - image.rot90(1, (1, 2)).int()).abs().max() <= 1
    half = crop_box(image, (4, 6, 12, 10), (10, 12), angle_rad=math.pi)
    assert (half.int() - image.rot90(2, (1, 2))[:, 6:16, 4:16].int()).abs().max() <= 1


@pytest.mark.parametrize("angle", [-0.4, 0.1, 2.0])
def test_a_turn_is_the_roll_that_labels_turn_with(angle):
    """The picture of a camera-frame point moves as plane_to_camera says the turned label does."""
    label = torch.tensor([20.0, -30.0], dtype=torch.float64)
    middle = torch.tensor([60.5, 50.5], dtype=torch.float64)
    before = plane_to_camera(label)[:2] + middle
    after = plane_to_camera(turn_with_image(label, torch.tensor(angle, dtype=torch.float64)))[:2] + middle
    image = crop_box(dot(*before), (0, 0, 121, 101), (101, 121), "black", angle)
    assert brightest(image) == pytest.approx(after.tolist(), abs=0.1)


def test_a_turned_box_far_from_the_frame_is_its_nearest_border():
    image = torch.full((3, 20, 20), 9, dtype=torch.uint8)
    assert (crop_box(image, (100, 100, 10, 10), (5, 5), angle_rad=0.2) == 9).all()
    assert (crop_box(image, (100, 100, 10, 10), (5, 5), "black", 0.2) == 0).all()


def test_boxes_of_one_frame():
    image = frame()
    boxes = torch.tensor([[1.0, 2, 20, 20], [30.5, 10, 12, 12]])
    crops = crop_boxes(image, boxes, (16, 16))
    assert crops.shape == (2, 3, 16, 16)
    assert torch.equal(crops[1], crop_box(image, [30.5, 10, 12, 12], (16, 16)))
    assert crop_boxes(image, torch.empty(0, 4), (16, 16)).shape == (0, 3, 16, 16)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 5), "0, 5. px has no area; leave out"),
        ((0, 0, -3, 5), "has no area"),
        ((math.nan, 0, 3, 5), "has no area"),
        ((0, 0, 1e6, 1e6), "far outside a frame of 64 x 48 px"),
    ],
)
def test_boxes_that_are_none(box, message):
    with pytest.raises(ValueError, match=message):
        crop_box(frame(), box, (8, 8))


def test_an_unknown_padding():
    with pytest.raises(ValueError, match="padding is 'reflect'; expected one of replicate, black"):
        crop_box(frame(), (0, 0, 8, 8), (8, 8), "reflect")
