"""Public files at their full size: every name has its place, and what has none is accounted for."""

import pytest
import torch

from gaze.backbones.layouts import vit_state
from gaze.shapes_only import shapes_only
from gaze.tensor_files import differences
from tests import groups
from tests.backbones.plain_vit import random_state

DISTILLED = {"registers": 0, "scale": False, "norm": False}
FILES = {
    "dinov3_vits16": (384, {}, 21_601_152),
    "dinov3_vits16plus": (384, {"gated": True}, 28_697_472),
    "dinov3_vitb16": (768, {}, 85_669_632),
    "dinov3_vit_tiny": (192, DISTILLED, 5_486_208),
    "dinov3_vit_tinyplus": (256, DISTILLED, 9_674_240),
}
BUFFERS = ("rope_embed.periods", "attn.qkv.bias_mask")


def meta(name):
    with shapes_only():
        return groups.build(groups.node("backbone", name), weights=None)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_published_size_fits(name):
    width, layout, parameters = FILES[name]
    state = random_state(width, **layout, depth=12, device="meta")
    assert sum(t.numel() for key, t in state.items() if not key.endswith(BUFFERS)) == parameters
    backbone = meta(name)
    ours = backbone.published(state)
    if "k_bias" not in str(list(ours)):  # DINOv3's, masked
        parameters -= width * (12 + 1)  # and a mask token
    assert differences(ours, backbone.state_dict()) == ""
    assert sum(p.numel() for p in backbone.parameters()) == parameters


@pytest.mark.parametrize(("name", "width", "parameters"), [("b", 768, 86_580_480), ("l", 1024, 304_368_640)])
def test_a_file_of_dinov2_fits_but_for_its_mask_token(name, width, parameters):
    backbone = meta(f"dinov2_vit{name}14")
    state = dict(backbone.vit.state_dict()) | {"mask_token": torch.empty(1, width, device="meta")}
    assert sum(t.numel() for t in state.values()) == parameters
    assert state["pos_embed"].shape == (1, 1370, width)
    assert differences(backbone.published(state), backbone.state_dict()) == ""


def test_queries_keys_and_values_come_from_the_thirds_of_their_joint_bias():
    backbone = groups.build(groups.node("backbone", "dinov3_vit_tiny"), weights=None, width=64, depth=2)
    state = random_state(64, **DISTILLED) | {"blocks.1.attn.qkv.bias": torch.arange(192.0)}
    ours = vit_state(state, backbone.vit)
    assert [ours[f"blocks.1.attn.{part}_bias"][0].item() for part in "qkv"] == [0, 64, 128]


def test_a_public_dinov3_file_is_not_one_of_the_distilled_and_the_other_way_round():
    small = random_state(192, depth=12, device="meta")
    tiny = meta("dinov3_vit_tiny")
    assert "reg_token" in differences(tiny.published(small), tiny.state_dict())
    large = meta("dinov3_vits16")
    distilled = random_state(384, **DISTILLED, depth=12, device="meta")
    assert "k_bias" in differences(large.published(distilled), large.state_dict())
