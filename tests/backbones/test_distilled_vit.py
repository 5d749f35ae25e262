"""ViT-T and ViT-T+, against the same network written out."""

import pytest
import torch

from gaze.backbones.distilled_vit import DistilledViT
from gaze.shapes_only import shapes_only
from tests.backbones.plain_vit import plain_features, random_state

LAYOUT = {"registers": 0, "scale": False, "norm": False}


@pytest.mark.parametrize(("width", "parameters"), [(192, 5_486_208), (256, 9_674_240)])
def test_parameters_are_the_published_ones(width, parameters):
    with shapes_only():
        assert sum(p.numel() for p in DistilledViT(width).parameters()) == parameters


def test_a_public_file_has_a_tensor_for_each_of_its_148_names():
    assert len(random_state(64, **LAYOUT, depth=12)) == 148


@pytest.mark.parametrize("size", [(48, 64), (32, 32)])
def test_a_public_file_gives_the_published_features(tmp_path, size):
    state = random_state(128, **LAYOUT)
    torch.save(state, tmp_path / "vitt_distill.pt")
    backbone = DistilledViT(128, depth=2, weights=str(tmp_path / "vitt_distill.pt")).eval()
    image = torch.rand(2, 3, *size)
    expected = plain_features(state, backbone.normalize(image), eps=1e-6)
    torch.testing.assert_close(backbone(image), expected, atol=2e-5, rtol=2e-5)


def test_the_bias_of_the_keys_matters_and_learns(tmp_path):
    state = random_state(64, **LAYOUT)
    torch.save(state, tmp_path / "a.pt")
    backbone = DistilledViT(64, depth=2, weights=str(tmp_path / "a.pt")).eval()
    image = torch.rand(1, 3, 32, 48)
    features = backbone(image)
    features.square().sum().backward()
    bias = backbone.vit.blocks[0].attn.k_bias
    assert bias.grad.abs().sum() > 0
    with torch.no_grad():
        bias.zero_()
    assert (backbone(image) - features).abs().max() > 1e-3


def test_other_files_and_widths_are_refused(tmp_path):
    torch.save(random_state(64), tmp_path / "dinov3.pt")
    with pytest.raises(ValueError, match=r"don't fit a ViT of width 64: .*unexpected: .*reg_token"):
        DistilledViT(64, depth=2, weights=str(tmp_path / "dinov3.pt"))
    with pytest.raises(ValueError, match="backbone.width is 200; expected a multiple of 64"):
        DistilledViT(200)
