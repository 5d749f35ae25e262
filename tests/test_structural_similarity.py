"""SSIM: values by formula, and another implementation of the same."""

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from gaze.structural_similarity import C1, structural_similarity, viewed

DRAWS = torch.Generator().manual_seed(0)
FOUND, TRUTH = torch.rand(2, 3, 3, 20, 31, generator=DRAWS)


def test_the_same_is_one_and_constants_follow_the_formula():
    assert structural_similarity(FOUND, FOUND).tolist() == pytest.approx([1.0] * 3)
    a, b = 0.3, 0.8
    expected = (2 * a * b + C1) / (a * a + b * b + C1)  # nothing varies: the second factor is 1
    value = structural_similarity(torch.full((1, 3, 16, 16), a), torch.full((1, 3, 16, 16), b), padded=False)
    assert float(value) == pytest.approx(expected, abs=2e-4)


def test_it_is_torchmetrics_s_which_mirrors_pictures_at_their_rims():
    mirrored = [torch.nn.functional.pad(image, [5] * 4, mode="reflect") for image in (FOUND, TRUTH)]
    for i, value in enumerate(structural_similarity(*mirrored, padded=False)):
        expected = structural_similarity_index_measure(FOUND[i : i + 1], TRUTH[i : i + 1], data_range=1.0)
        assert float(value) == pytest.approx(float(expected), abs=1e-5)


def test_padding_is_zeros_around_the_picture():
    around = [torch.nn.functional.pad(image, [5] * 4) for image in (FOUND, TRUTH)]
    torch.testing.assert_close(structural_similarity(FOUND, TRUTH), structural_similarity(*around, padded=False))


def test_its_gradient_is_right():
    found, truth = FOUND[:1, :1, :6, :7].double(), TRUTH[:1, :1, :6, :7].double()
    assert torch.autograd.gradcheck(lambda x: structural_similarity(x, truth), found.requires_grad_())


def test_small_pictures_are_padded_or_refused():
    small = FOUND[..., :4, :5]
    assert structural_similarity(small, small).tolist() == pytest.approx([1.0] * 3)
    with pytest.raises(ValueError, match="20 x 10 px.*needs 11 px or more"):
        structural_similarity(FOUND[..., :10], TRUTH[..., :10], padded=False)


@pytest.mark.parametrize(("side", "seen"), [(64, 64), (383, 383), (512, 256), (1024, 256)])
def test_large_pictures_are_looked_at_from_afar(side, seen):
    assert viewed(torch.zeros(1, 1, side, side)).shape[-1] == seen
