"""Latent attention, and the table of the mobile models of the reference, section 1.7."""

import math
from dataclasses import replace

import pytest
import timm
import torch

from gaze.fusions.latents import LatentFusion
from gaze.heads.point import PointHead
from gaze.shapes_only import shapes_only
from gaze.types import ScreenInputs
from tests.models.screens import count, without_memory

# Trunks of face and eyes, how many trunks the eyes have, millions of parameters.
TABLE = [
    ("mobilenetv3_large_100", "mobilenetv3_large_100", 1, 10.53),
    ("mobilenetv3_large_100", "mobilenetv3_large_100", 2, 14.73),
    ("mobilenetv3_large_100", "mobilenetv3_small_100", 1, 7.75),
    ("tf_efficientnet_lite0", "tf_efficientnet_lite0", 1, 9.03),
    ("efficientnet_b0", "efficientnet_b0", 1, 10.31),
    ("mobilenetv3_small_100", "mobilenetv3_small_100", 1, 4.97),
    ("mobilenetv4_conv_small", "mobilenetv4_conv_small", 1, 7.11),
]
EYES = ("left_eye", "right_eye")


def whole(name):
    return timm.create_model(name, num_classes=0)


@pytest.mark.parametrize(("face", "eye", "towers", "millions"), TABLE)
def test_fusion_and_head_make_up_what_the_table_counts_beside_whole_networks(face, eye, towers, millions):
    """It counts timm's networks with all that stands behind their last maps."""
    with shapes_only():
        trunks = [whole(face), *(whole(eye) for _ in range(towers))]
        channels = {"face": trunks[0].num_features, **dict.fromkeys(EYES, trunks[1].num_features)}
        fusion = LatentFusion(channels)
        parts = [*trunks, fusion, PointHead(fusion.channels)]
    assert round(sum(map(count, parts)) / 1e6, 2) == millions


@pytest.mark.parametrize(("model", "row"), [("pog_mobile", 0), ("pog_mobile_small", 5)])
def test_our_models_leave_out_what_stands_behind_the_last_maps_and_nothing_else(model, row):
    face, eye, towers, millions = TABLE[row]
    with shapes_only():
        unread = sum(count(whole(name).conv_head) for name in (face, *[eye] * towers))
    assert round((count(without_memory(model)) + unread) / 1e6, 2) == millions


def fusion_and_inputs(samples=3):
    torch.manual_seed(0)
    fusion = LatentFusion({"face": 6, "left_eye": 5, "right_eye": 5}, width=8, latents=3, heads=2, hidden=16).eval()
    features = {"face": torch.randn(samples, 6, 3, 3)} | {eye: torch.randn(samples, 5, 2, 2) for eye in EYES}
    return fusion, features, ScreenInputs(geometry=torch.rand(samples, 12))


def test_maps_may_have_any_size_and_latents_look_at_what_is_in_them():
    fusion, features, inputs = fusion_and_inputs()
    assert fusion(features | {"face": torch.randn(3, 6, 7, 5)}, inputs).shape == (3, fusion.channels)
    tokens = torch.cat(list(fusion.tokens(features).values()), 1)
    latents = fusion.read.attention_norm(fusion.latents).expand(3, -1, -1)
    weights = fusion.read.attention.weights(latents, fusion.read.context_norm(tokens))
    assert weights.std(0).max() > 1e-3
    assert weights.shape[-1] == 9 + 4 + 4


def test_the_roll_of_the_device_is_read_from_gravity():
    fusion, features, inputs = fusion_and_inputs()
    upright, turned, flat = (torch.tensor([*gravity, *[0.0] * 6]) for gravity in ((0, -1, 0), (1, 0, 0), (0, 0, -1)))
    motion = replace(inputs, imu=torch.stack([upright, turned, flat]), imu_valid=torch.ones(3))
    plain, rolled = fusion(features, inputs), fusion(features, motion)
    torch.testing.assert_close(rolled[[0, 2]], plain[[0, 2]])  # a roll of 0, and none
    assert not torch.allclose(rolled[1], plain[1], atol=1e-4)
    torch.testing.assert_close(fusion(features, replace(motion, imu_valid=torch.zeros(3))), plain)
    torch.testing.assert_close(fusion(features, replace(inputs, imu=torch.full((3, 9), math.nan))), plain)


def test_boxes_that_are_not_known_leave_the_roll():
    fusion, features, inputs = fusion_and_inputs()
    unknown = replace(inputs, geometry=torch.full((3, 12), math.nan))
    assert fusion(features, unknown).isfinite().all()
    with pytest.raises(ValueError, match="reads geometry, which the samples do not hold"):
        fusion(features, ScreenInputs())
