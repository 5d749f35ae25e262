"""timm transformers as backbones."""

import pytest
import timm
import torch
from timm.models.eva import Eva

from gaze.backbones.vit import TimmViT
from gaze.shapes_only import shapes_only


@pytest.mark.parametrize(
    ("name", "published", "mask_token", "key_biases"),
    [
        ("vit_base_patch14_dinov2", 86_580_480, 768, 0),
        ("vit_large_patch14_dinov2", 304_368_640, 1024, 0),
        ("vit_small_patch16_dinov3_qkvb", 21_601_152, 384, 12 * 384),
        ("vit_small_plus_patch16_dinov3_qkvb", 28_697_472, 384, 12 * 384),
        ("vit_base_patch16_dinov3_qkvb", 85_669_632, 768, 12 * 768),
    ],
)
def test_parameters_are_the_published_ones_but_for_the_unused(name, published, mask_token, key_biases):
    with shapes_only():
        backbone = TimmViT(name)
    assert sum(p.numel() for p in backbone.parameters()) == published - mask_token - key_biases


@pytest.fixture
def tiny(monkeypatch):
    """timm models of the two kinds, made small: dinov2-like with a 5 x 5 table, dinov3-like with registers."""
    create = timm.create_model

    def small(name, **kwargs):
        if "dinov2" in name:
            kwargs |= {"img_size": 70, "embed_dim": 16, "depth": 2, "num_heads": 2}
            return create("vit_base_patch14_dinov2", **kwargs)
        kwargs |= {"embed_dim": 32, "depth": 2, "num_heads": 2}
        return create("vit_small_patch16_dinov3_qkvb", **kwargs)

    monkeypatch.setattr(timm, "create_model", small)


def test_a_table_at_its_own_size_gives_what_timm_gives(tiny):
    torch.manual_seed(0)
    backbone = TimmViT("vit_base_patch14_dinov2").eval()
    image = torch.rand(2, 3, 70, 70)
    expected = backbone.vit.forward_features(backbone.normalize(image))[:, 1:]
    assert torch.equal(backbone(image).flatten(2).transpose(1, 2), expected)


def test_rotary_positions_give_what_timm_gives_without_prefix_tokens(tiny):
    torch.manual_seed(0)
    backbone = TimmViT("vit_small_patch16_dinov3_qkvb").eval()
    assert isinstance(backbone.vit, Eva)
    image = torch.rand(2, 3, 32, 48)
    tokens = backbone.vit.forward_features(backbone.normalize(image))
    assert tokens.shape[1] == 5 + 6  # class, four registers, patches
    assert torch.equal(backbone(image)[0, :, 1, 2], tokens[0, -1])


def test_images_are_normalised(tiny):
    backbone = TimmViT("vit_base_patch14_dinov2")
    grey = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    assert backbone.normalize(grey).abs().max() == 0
    assert not any("mean" in key or "std" in key for key in backbone.state_dict())


def test_unknown_names_and_unsupported_layouts_are_refused():
    with pytest.raises(ValueError, match=r"timm knows no model 'vit_base_patch14_dinov9'.*vit_base_patch"):
        TimmViT("vit_base_patch14_dinov9")
    with torch.device("meta"), pytest.raises(ValueError, match="registers beside a table"):
        TimmViT("vit_small_patch14_reg4_dinov2")


def test_gradients_reach_every_block(tiny):
    backbone = TimmViT("vit_small_patch16_dinov3_qkvb")
    backbone(torch.rand(1, 3, 32, 32)).sum().backward()
    for i, block in enumerate(backbone.blocks()):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in block), f"block {i}"
