"""The public models by their public names: as large as published, to the last parameter."""

from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from gaze.runs import build, plain_config, without_weights
from gaze.shapes_only import shapes_only
from tests import groups

FAMILY = {  # channels, image side, heatmap side, backbone and head parameters; Gaze-LLE's and gazelle-dinov3's
    "dinov2_vitb14": (768, 448, 64, 86_580_480, 2_826_752),
    "dinov2_vitl14": (1024, 448, 64, 304_368_640, 2_892_288),
    "hgnetv2_atto": (256, 320, 32, 230_344, 2_695_680),
    "hgnetv2_femto": (512, 416, 48, 389_832, 2_761_216),
    "hgnetv2_pico": (512, 640, 64, 749_202, 2_761_216),
    "hgnetv2_n": (512, 640, 64, 1_850_396, 2_761_216),
    "dinov3_vit_tiny": (192, 640, 64, 5_486_208, 2_679_296),
    "dinov3_vit_tinyplus": (256, 640, 64, 9_674_240, 2_695_680),
    "dinov3_vits16": (384, 640, 64, 21_601_152, 2_728_448),
    "dinov3_vits16plus": (384, 640, 64, 28_697_472, 2_728_448),
    "dinov3_vitb16": (768, 640, 64, 85_669_632, 2_826_752),
}
# What the files hold and timm's classes do not, in vectors of C: a mask token, used in pre-training
# only, and in DINOv3 a bias of the keys in each of 12 blocks, which a mask keeps at zero.
LEFT_OUT = {"dinov2_vitb14": 1, "dinov2_vitl14": 1, "dinov3_vits16": 13, "dinov3_vits16plus": 13, "dinov3_vitb16": 13}
INOUT = {"dinov2": 33_281, "dinov3": 513, "hgnetv2": 513}  # token and two layers, or token and one


@cache
def composed(model):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[f"model={model}", "dir=unused"])


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("suffix", ["", "_inout"])
@pytest.mark.parametrize("name", FAMILY)
def test_sizes_are_the_published_ones(name, suffix):
    channels, image, heatmap, backbone, head = FAMILY[name]
    config = composed(f"gazelle_{name}{suffix}")
    with shapes_only():
        model = build(OmegaConf.create(without_weights(plain_config(config.model))))
    extra = INOUT[name.split("_")[0]] if suffix else 0
    left_out = LEFT_OUT.get(name, 0) * channels
    assert model.backbone.channels == channels
    assert count(model.backbone) == backbone - left_out
    assert count(model.head) == head + extra
    assert count(model) == backbone + head + extra - left_out
    assert config.dataset.image_size == [image, image]
    assert image % model.backbone.stride == 0
    assert model.head.size == (heatmap, heatmap)
    assert config.name == f"gazelle_{name}{suffix}"


def test_every_public_name_is_a_file_and_the_short_ones_are_the_common_models():
    names = {name for name in groups.names("model") if name.startswith("gazelle_")} - {"gazelle_small"}
    public = {f"gazelle_{name}{suffix}" for name in FAMILY for suffix in ("", "_inout")}
    assert public == names - {"gazelle_dinov2", "gazelle_dinov3", "gazelle_dinov2_inout", "gazelle_dinov3_inout"}
    for short, long in [
        ("dinov3", "dinov3_vits16"),
        ("dinov2", "dinov2_vitb14"),
        ("dinov3_inout", "dinov3_vits16_inout"),
    ]:
        assert plain_config(composed(f"gazelle_{short}").model) == plain_config(composed(f"gazelle_{long}").model)


@pytest.mark.parametrize("name", FAMILY)
def test_the_second_stage_trains_the_head_alone_and_starts_from_any_first_stage(name):
    first, second = composed(f"gazelle_{name}"), composed(f"gazelle_{name}_inout")
    assert second.callback.unfreeze.first == 0
    assert second.callback.unfreeze.every_epochs is None
    assert list(second.loss) == ["heatmap_bce", "inout_bce"]
    assert second.optimizer.optimizer.lr == 1e-5
    assert second.optimizer.overrides["head.inout_*"].lr == 1e-3
    assert second.schedule.lr._target_.endswith("Constant")
    assert plain_config(second.model.backbone) == plain_config(first.model.backbone)
    inout = {"inout": True, "inout_head": "mlp" if "dinov2" in name else "linear"}
    assert plain_config(second.model.head) | inout == plain_config(second.model.head)


@pytest.mark.parametrize("name", ["dinov2_vitb14", "dinov3_vits16", "dinov3_vit_tiny"])
def test_heads_fit_backbones_that_are_trimmed_or_fused(name):
    for fuse, times in ((False, 1), (True, 3)):
        words = ["backbone.interaction_indexes=[3,5,8]", f"backbone.fuse={fuse}"]
        with initialize_config_module("gaze.conf"):
            config = compose("train", overrides=[f"model=gazelle_{name}", "dir=unused", *words])
        with shapes_only():
            model = build(OmegaConf.create(without_weights(plain_config(config.model))))
            side = 2 * model.backbone.stride
            features = model.encode(torch.rand(1, 3, side, side))
        assert features.shape == (1, times * FAMILY[name][0], 2, 2)
        assert model.head.linear.in_channels == features.shape[1]
        assert len(model.backbone.blocks()) == 9
