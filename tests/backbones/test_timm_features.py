"""Networks of timm by name."""

import pytest
import timm
import torch

from gaze.backbones.timm_features import TimmFeatures
from gaze.shapes_only import shapes_only

IMAGE = torch.rand(1, 3, 64, 96)


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", 256), ("convnext_atto", 160), ("efficientnet_b0", 112), ("vit_tiny_patch16_224", 192)],
)
def test_the_features_are_timms_and_nothing_is_left_over(name, channels):
    torch.manual_seed(0)
    backbone = TimmFeatures(name, stride=16).eval()
    torch.manual_seed(0)
    options = {"dynamic_img_size": True} if name.startswith("vit") else {}
    whole = timm.create_model(name, num_classes=0, **options).eval()
    levels = [i for i, level in enumerate(whole.feature_info) if level["reduction"] == 16]
    expected = whole.forward_intermediates(
        backbone.normalize(IMAGE), indices=levels[-1:], norm=name.startswith("vit"), intermediates_only=True
    )[0]
    features = backbone(IMAGE)
    assert backbone.channels == features.shape[1] == channels
    assert torch.equal(features, expected)
    features.square().sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
    assert len(backbone.blocks()) > 5


def test_blocks_of_a_transformer_can_be_trimmed_and_fused():
    torch.manual_seed(0)
    fused = TimmFeatures("vit_tiny_patch16_224", interaction_indexes=[1, 3], fuse=True).eval()
    torch.manual_seed(0)
    trimmed = TimmFeatures("vit_tiny_patch16_224", interaction_indexes=[1, 3]).eval()
    assert fused.channels == 2 * trimmed.channels == 384
    assert len(fused.network.blocks) == 4
    assert torch.equal(fused(IMAGE)[:, 192:], trimmed(IMAGE))


def test_other_strides_and_other_normalisations():
    backbone = TimmFeatures("resnet18", stride=8)
    assert backbone(IMAGE).shape == (1, 128, 8, 12)
    grey = TimmFeatures("vit_tiny_patch16_224").normalize(torch.full((1, 3, 1, 1), 0.5))
    assert grey.abs().max() == 0  # its own mean is one half


def test_a_file_of_timms_layout_loads_with_or_without_its_classifier(tmp_path):
    whole = timm.create_model("resnet18", num_classes=7)
    torch.save(whole.state_dict(), tmp_path / "resnet.pth")
    backbone = TimmFeatures("resnet18", stride=16, weights=str(tmp_path / "resnet.pth"))
    assert torch.equal(backbone.network.conv1.weight, whole.conv1.weight)
    with pytest.raises(ValueError, match=r"don't fit resnet34: .* missing"):
        TimmFeatures("resnet34", weights=str(tmp_path / "resnet.pth"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet19", {}, r"timm knows no model 'resnet19'; similar names: .*'resnet18'"),
        ("resnet18", {"stride": 14}, r"no features of stride 14; set backbone.stride to one of \[2, 4, 8, 16, 32\]"),
        ("resnet18", {"interaction_indexes": [1, 2], "fuse": True}, "expected levels of one stride to fuse"),
    ],
)
def test_what_timm_has_not_is_said(name, options, message):
    with pytest.raises(ValueError, match=message):
        TimmFeatures(name, **options)


@pytest.mark.parametrize(
    ("name", "output_stride", "stride", "channels", "parameters"),
    [
        ("resnet50", None, 32, 2048, 23_508_032),
        ("resnet50", 16, 16, 2048, 23_508_032),  # dilated: all stages, all weights
        ("resnet50", 8, 8, 2048, 23_508_032),
        ("resnet18", None, 32, 512, 11_176_512),
        ("mobilenetv3_large_100", None, 32, 960, 2_971_952),  # without the convolution behind the last map
        ("tf_efficientnet_lite0", None, 32, 320, 2_958_848),
        ("efficientnet_b0", 16, 16, 320, None),
        ("swinv2_tiny_window8_256", None, 32, 768, 27_578_154),
        ("densenet121", None, 32, 1024, 6_953_856),
        ("deit_tiny_patch16_224", None, 16, 192, None),
        ("resnest14d", None, 32, 2048, None),
    ],
)
def test_a_trunk_is_the_whole_network_and_nothing_behind_its_last_map(
    name, output_stride, stride, channels, parameters
):
    with shapes_only():
        backbone = TimmFeatures(name, output_stride=output_stride).eval()
        side = 8 * stride
        features = backbone(torch.rand(2, 3, side, side))
    assert (backbone.stride, backbone.channels) == (stride, channels)
    assert features.shape == (2, channels, 8, 8)
    assert parameters in (None, sum(p.numel() for p in backbone.parameters()))


@pytest.mark.parametrize(("name", "output_stride"), [("resnet18", 4), ("deit_tiny_patch16_224", 8)])
def test_what_cannot_be_dilated_is_refused(name, output_stride):
    with pytest.raises(ValueError, match=r"backbone\.output_stride is \d for .*; expected 8, 16 or 32"):
        TimmFeatures(name, output_stride=output_stride)
