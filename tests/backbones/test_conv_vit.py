"""The small transformer with a convolutional stem."""

import pytest
import torch

from gaze.backbones.conv_vit import ConvViT


def test_the_stride_is_two_for_each_convolution():
    backbone = ConvViT(stem=(8, 8), width=16, depth=1, heads=2)
    assert backbone.stride == 4
    assert backbone(torch.rand(1, 3, 16, 24)).shape == (1, 16, 4, 6)


def test_the_default_is_small():
    assert 2e5 < sum(p.numel() for p in ConvViT().parameters()) < 1e6


def test_tokens_see_the_whole_picture_and_know_where_they_are():
    torch.manual_seed(0)
    backbone = ConvViT(stem=(8, 8), width=16, depth=1, heads=2).eval()
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    backbone(image)[0, :, 0, 0].square().sum().backward()
    assert image.grad[0, :, -4:, -4:].abs().sum() > 0

    plain = backbone(torch.full((1, 3, 32, 32), 0.5))
    assert (plain[..., 3, 3] - plain[..., 4, 4]).abs().max() > 1e-3


def test_a_prediction_does_not_depend_on_the_batch_it_is_in():
    backbone = ConvViT(stem=(8, 8), width=16, depth=1, heads=2).eval()
    images = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(backbone(images)[1:2], backbone(images[1:2]))


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="width 30, depth 1, heads 4"):
        ConvViT(width=30, depth=1, heads=4)
