"""ResNets that dilate instead of halving."""

import pytest
import timm
import torch
import torchvision

from gaze.backbones.dilated_resnet import DilatedResNet
from gaze.backbones.timm_features import TimmFeatures
from gaze.shapes_only import shapes_only

IMAGE = torch.rand(1, 3, 64, 32)


@pytest.mark.parametrize(("dilate", "stride"), [((True, True, True), 4), ((False, True, True), 8), ((False,) * 3, 32)])
def test_each_dilated_stage_doubles_the_map_and_no_weight_changes(dilate, stride):
    with shapes_only():
        backbone = DilatedResNet(dilate=dilate)
        features = backbone(IMAGE.to("meta"))
    assert backbone.stride == stride
    assert features.shape == (1, 2048, 64 // stride, 32 // stride)
    assert sum(p.numel() for p in backbone.parameters()) == 23_508_032


def test_files_of_torchvision_load_and_mean_the_same_as_in_timm(tmp_path):
    whole = torchvision.models.resnet50(weights=None)
    torch.save(whole.state_dict(), tmp_path / "resnet50.pth")
    ours = DilatedResNet(weights=str(tmp_path / "resnet50.pth"), dilate=(False, False, True)).eval()
    peer = TimmFeatures("resnet50", str(tmp_path / "resnet50.pth"), output_stride=16).eval()
    assert torch.allclose(ours(IMAGE), peer(IMAGE), atol=1e-4)
    assert all(timm.is_model_pretrained(f"{name}.tv_in1k") for name in ("resnet50", "resnet101"))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"name": "resnet18"}, "expected one of resnet50"), ({"dilate": [True]}, "for each of the last 3 stages")],
)
def test_what_cannot_be_dilated_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DilatedResNet(**options)
