"""Whole timm networks as embeddings: the table of the point-of-gaze reference, section 1.6."""

import pytest
import timm
import torch

from gaze.backbones.timm_embedding import TimmEmbedding
from gaze.shapes_only import shapes_only

# Name, millions of parameters without the classifier as the reference rounds them, width; None: it gives no count.
TABLE = [
    ("resnet18", 11.18, 512),
    ("resnet34", 21.29, 512),
    ("resnet50", 23.51, 2048),
    ("resnet101", 42.50, 2048),
    ("resnext50_32x4d", 22.98, 2048),
    ("wide_resnet50_2", 66.83, 2048),
    ("resnest14d", 8.56, 2048),
    ("resnest26d", 15.02, 2048),
    ("resnest50d", 25.43, 2048),
    ("resnest101e", 46.23, 2048),
    ("resnest200e", None, 2048),
    ("resnest269e", 108.88, 2048),
    ("densenet121", 6.95, 1024),
    ("densenet161", 26.47, 2208),
    ("densenet169", 12.48, 1664),
    ("densenet201", 18.09, 1920),
    ("efficientnet_b0", 4.01, 1280),
    ("efficientnet_b1", 6.51, 1280),
    ("efficientnet_b3", 10.70, 1536),
    ("efficientnet_b4", 17.55, 1792),
    ("efficientnet_b8", 84.60, 2816),
    ("efficientnet_el", 9.05, 1536),
    ("tf_efficientnet_lite0", 3.37, 1280),
    ("tf_efficientnetv2_s", 20.18, 1280),
    ("swin_tiny_patch4_window7_224", 27.52, 768),
    ("swin_small_patch4_window7_224", 48.84, 768),
    ("swin_base_patch4_window7_224", 86.74, 1024),
    ("swin_large_patch4_window7_224", 195.0, 1536),
    ("swinv2_tiny_window8_256", 27.58, 768),
    ("swinv2_small_window8_256", 48.96, 768),
    ("swinv2_cr_tiny_ns_224", 27.56, 768),
    ("deit_tiny_patch16_224", 5.52, 192),
    ("deit_small_patch16_224", 21.67, 384),
    ("deit_base_patch16_224", 85.80, 768),
    ("deit3_small_patch16_224", 21.67, 384),
    ("hrnet_w18_small", 11.14, 2048),
    ("hrnet_w18_small_v2", 13.55, 2048),
    ("hrnet_w18", 19.25, 2048),
    ("hrnet_w18_ssld", None, 2048),
    ("hrnet_w30", None, 2048),
    ("hrnet_w32", 39.18, 2048),
    ("hrnet_w40", None, 2048),
    ("hrnet_w44", None, 2048),
    ("hrnet_w48", 75.42, 2048),
    ("hrnet_w48_ssld", None, 2048),
    ("hrnet_w64", 126.01, 2048),
    ("mobilenetv2_100", 2.22, 1280),
    ("mobilenetv2_140", 4.32, 1792),
    ("mobilenetv3_small_100", 1.52, 1024),
    ("mobilenetv3_large_075", 2.71, 1280),
    ("mobilenetv3_large_100", 4.20, 1280),
    ("mobilenetv3_rw", 4.20, 1280),
    ("mobilenetv4_conv_small", 2.49, 1280),
    ("botnet26t_256", 10.44, 2048),
    ("convnext_tiny", 27.82, 768),
    ("convnextv2_nano", 14.98, 640),
    ("edgenext_small", 5.28, 304),
    ("fastvit_t8", 3.26, 768),
    ("repvit_m0_9", 4.72, 384),
    ("vit_small_patch16_dinov3", 21.59, 384),
    ("test_resnet", 0.37, 96),
    ("test_efficientnet", 0.10, 256),
    ("test_vit", 0.31, 64),
    ("test_convnext", 0.21, 64),
]
LARGE = 15  # millions of parameters, whose layers take long to make even without memory


def test_timm_knows_every_network_of_the_reference():
    assert [name for name, *_ in TABLE if not timm.is_model(name)] == []


@pytest.mark.parametrize(
    ("name", "millions", "width"),
    [pytest.param(*row, marks=[pytest.mark.slow] if row[1] >= LARGE else []) for row in TABLE if row[1]],
)
def test_it_is_as_large_and_as_wide_as_the_table_says(name, millions, width):
    with shapes_only():
        backbone = TimmEmbedding(name)
    assert backbone.channels == width
    count = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.0055)


@pytest.mark.parametrize(("name", "side"), [("mobilenetv3_small_100", 64), ("test_vit", 160), ("test_convnext", 64)])
def test_the_embedding_is_what_timm_says(name, side):
    torch.manual_seed(0)
    backbone = TimmEmbedding(name).eval()
    image = torch.rand(2, 3, side, side)
    expected = backbone.network.forward_head(backbone.network.forward_features(backbone.normalize(image)))
    assert torch.equal(backbone(image)[:, :, 0, 0], expected)
    assert expected.shape == (2, backbone.channels)


def test_classes_as_an_embedding_come_with_their_weights(tmp_path):
    whole = timm.create_model("test_resnet")
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    backbone = TimmEmbedding("test_resnet", weights=str(tmp_path / "whole.pth"), embed="logits").eval()
    image = torch.rand(2, 3, 64, 64)
    expected = whole.eval()(backbone.normalize(image)).relu()
    assert backbone.channels == 1000
    torch.testing.assert_close(backbone(image)[:, :, 0, 0], expected)
    features = TimmEmbedding("test_resnet", weights=str(tmp_path / "whole.pth"))
    assert torch.equal(features.network.conv1[0].weight, whole.conv1[0].weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet19"}, "timm knows no model 'resnet19'; similar names: "),
        ({"name": "resnet18", "embed": "x"}, "embed is 'x'"),
    ],
)
def test_what_there_is_not_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        TimmEmbedding(**options)
