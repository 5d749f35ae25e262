import pytest
import torch

from gaze.datasets.photometric import PhotometricDistort
from gaze.datasets.scene import Augmentation
from tests.datasets.test_augment import generator, random_scene


def test_labels_and_shape_stay_and_the_same_seed_gives_the_same_picture():
    scene, distort = random_scene(0), PhotometricDistort(probability=1.0)
    first, second = distort(scene, generator(1)), distort(scene, generator(1))
    assert isinstance(distort, Augmentation)
    assert first.image.dtype == torch.uint8
    assert first.image.shape == scene.image.shape
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, scene.image)
    assert first.head_bbox is scene.head_bbox
    assert first.points is scene.points


def test_probability_zero_gives_the_same_pixels():
    scene = random_scene(0)
    assert torch.equal(PhotometricDistort(probability=0.0)(scene, generator(0)).image, scene.image)


def test_brightness_is_a_factor_within_its_range():
    scene = random_scene(0)
    distort = PhotometricDistort(brightness=0.125, contrast=0.0, saturation=0.0, hue=0.0, probability=1.0)
    factors = [
        (distort(scene, generator(s)).image.float().mean() / scene.image.float().mean()).item() for s in range(30)
    ]
    assert min(factors) > 0.85
    assert max(factors) < 1.13  # clipping at white takes some away
    assert max(factors) - min(factors) > 0.1


def test_a_grey_picture_stays_grey_unless_channels_carry_colour():
    scene = random_scene(0)
    grey = type(scene)(scene.image[:1].repeat(3, 1, 1), scene.head_bbox, scene.points)
    for seed in range(10):
        red, green, blue = PhotometricDistort(probability=1.0)(grey, generator(seed)).image.int()
        assert (red - green).abs().max() <= 1
        assert (green - blue).abs().max() <= 1


def test_permuted_channels_hold_the_same_values_in_five_of_six_pictures():
    scene = random_scene(0)
    distort = PhotometricDistort(0.0, 0.0, 0.0, 0.0, probability=1.0, permute_channels=True)
    unchanged = 0
    for seed in range(120):
        image = distort(scene, generator(seed)).image
        assert sorted(c.sum().item() for c in image.int()) == sorted(c.sum().item() for c in scene.image.int())
        unchanged += torch.equal(image, scene.image)
    assert 8 <= unchanged <= 34  # of 120, expected 20


@pytest.mark.parametrize("wrong", [{"hue": 0.6}, {"brightness": -0.1}, {"contrast": 1.1}, {"probability": 2.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        PhotometricDistort(**wrong)
