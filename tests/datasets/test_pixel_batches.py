"""Changes of a batch's pixels against the same of one picture at a time, by torchvision and by Pillow."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as pixels

from gaze.datasets.jpeg_pixels import compressed
from gaze.datasets.pixel_batches import blurred, contrasted, erased, hued, only, sampled, saturated, speckled


def smooth(count=4, size=(40, 52)):
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=draws)
    return (255 * torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)).round() / 255


@pytest.mark.parametrize(
    ("ours", "theirs", "strengths"),
    [
        (contrasted, pixels.adjust_contrast, [0.6, 1.0, 1.3, 1.5]),
        (saturated, pixels.adjust_saturation, [0.0, 0.5, 1.0, 1.5]),
        (hued, pixels.adjust_hue, [-0.5, -0.1, 0.0, 0.3]),
        (
            lambda x, sigma: blurred(x, sigma, 3),
            lambda x, sigma: pixels.gaussian_blur(x, 2 * math.ceil(2 * sigma) + 1, sigma),
            [0.05, 0.4, 1.0, 1.5],
        ),
    ],
)
def test_a_batch_is_changed_as_its_pictures_would_be_one_by_one(ours, theirs, strengths):
    pictures = smooth()
    found = ours(pictures.clone(), torch.tensor(strengths))
    expected = torch.stack([theirs(x, strength) for x, strength in zip(pictures, strengths, strict=True)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)  # torchvision rounds the weights of grey


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_compression_is_what_a_jpeg_does(quality):
    pictures = smooth()
    found = compressed(pictures, torch.full((len(pictures),), float(quality)))
    for before, after in zip(pictures, found, strict=True):
        file = io.BytesIO()
        rgb = (255 * before).byte().permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(rgb).save(file, "JPEG", quality=quality)
        expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
        apart, lost = (after - expected).abs().mean() * 255, (before - expected).abs().mean() * 255
        assert apart < 1.5
        assert apart < lost / 2


def test_noise_is_a_function_of_the_seed_and_the_pixel_alone():
    grey = torch.full((3, 3, 64, 64), 0.5)
    sigma, seeds = torch.tensor([0.02, 0.04, 0.04]), torch.tensor([5.0, 2.0**24 - 1, 9.0])
    noise = speckled(grey, sigma, seeds) - grey
    assert torch.equal(speckled(grey[1:2], sigma[1:2], seeds[1:2]) - grey[1:2], noise[1:2])
    torch.testing.assert_close(noise.std((1, 2, 3)), sigma, rtol=0.03, atol=0)
    assert (noise.mean((1, 2, 3)).abs() < 1e-3).all()
    unlike = [noise[1] * noise[2], noise[1][:, 1:] * noise[1][:, :-1], noise[1][..., 1:] * noise[1][..., :-1]]
    assert all(both.mean().abs() < 0.05 * 0.04**2 for both in unlike)


def test_only_what_is_touched_changes():
    pictures = smooth()
    before = pictures.clone()
    touched = torch.tensor([True, False, True, False])
    after = only(pictures, touched, lambda x, rows: x * rows[:, None, None, None])
    assert torch.equal(after, before * torch.tensor([0.0, 1.0, 2.0, 1.0])[:, None, None, None])


def test_a_rectangle_is_filled_and_a_part_is_sampled():
    pictures = smooth()
    filled = erased(pictures, torch.tensor([[3.0, 7.0, 10.0, 20.0]]).expand(4, 4), torch.rand(4, 3))
    changed = (filled != pictures).any(1)
    assert changed[:, 3:7, 10:20].all()
    assert changed.sum() == 4 * 4 * 10
    same = sampled(pictures, torch.eye(2, 3).expand(4, 2, 3), (40, 52))
    torch.testing.assert_close(same, pictures, atol=1e-4, rtol=0)
    half = torch.tensor([[0.5, 0.0, 0.25], [0.0, 0.5, 0.5]]).expand(4, 2, 3)
    torch.testing.assert_close(sampled(pictures, half, (20, 26)), pictures[:, :, 20:, 13:39], atol=1e-4, rtol=0)
