"""Fusions without tokens: vectors side by side, AFF-Net, weighted cells."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gaze.fusions.affnet import AdaptiveGroupNorm, AFFNet
from gaze.fusions.pooled import Pooled
from gaze.fusions.spatial_weights import SpatialWeights
from gaze.landmarks.points import DEFAULT, LEFT_CORNERS, RIGHT_CORNERS
from gaze.types import ScreenInputs
from tests.models.screens import composed

CHANNELS = {"face": 3, "left_eye": 2, "right_eye": 2}


def maps(samples=4, side=2):
    torch.manual_seed(0)
    return {stream: torch.randn(samples, c, side, side) for stream, c in CHANNELS.items()}


def test_means_of_the_streams_stand_side_by_side():
    features = maps()
    fusion = Pooled(CHANNELS)
    assert fusion.channels == 7
    expected = torch.cat([m.mean((-2, -1)) for m in features.values()], 1)
    torch.testing.assert_close(fusion(features, ScreenInputs()), expected)


def test_flattened_maps_boxes_and_corners_have_layers_of_their_own():
    features = maps()
    fusion = Pooled(CHANNELS, cells=4, width=5, boxes=[6], corners=[0, 2], corner_widths=[4, 3]).eval()
    inputs = ScreenInputs(geometry=torch.rand(4, 12), landmarks=torch.rand(4, 3, 2))
    found = fusion(features, inputs)
    assert found.shape == (4, fusion.channels) == (4, 3 * 5 + 6 + 3)
    assert set(fusion.layers) == {"face", "eyes"}
    moved = inputs.landmarks.clone()
    moved[:, 1] += 1  # no corner
    torch.testing.assert_close(fusion(features, replace(inputs, landmarks=moved)), found)
    unknown = replace(inputs, geometry=torch.full((4, 12), math.nan), landmarks=torch.full((4, 3, 2), math.nan))
    assert fusion(features, unknown).isfinite().all()


@pytest.mark.parametrize("model", ["pog_google_mpe", "pog_sage"])
def test_the_corners_of_the_models_are_those_of_the_eyes(model):
    assert tuple(DEFAULT[row] for row in composed(model).fusion.corners) == (*RIGHT_CORNERS, *LEFT_CORNERS)


def test_a_group_norm_without_style_is_torchs_with_the_unbiased_variance():
    norm = AdaptiveGroupNorm(6, 2, factor=3)
    nn.init.zeros_(norm.style[0].weight)
    nn.init.zeros_(norm.style[0].bias)
    values = torch.randn(2, 6, 4, 5)
    count = 3 * 4 * 5
    expected = nn.GroupNorm(2, 6, eps=0.0)(values) * ((count - 1) / count) ** 0.5
    torch.testing.assert_close(norm(values, torch.rand(2, 3)), expected)
    norm.style[0].bias.data.copy_(torch.arange(12.0))
    styled = expected * (1 + torch.arange(6.0))[:, None, None] + torch.arange(6.0, 12)[:, None, None]
    torch.testing.assert_close(norm(values, torch.rand(2, 3)), styled)


def test_the_face_steers_how_the_eyes_are_read():
    torch.manual_seed(0)
    fusion = AFFNet({"face": 64}).eval()
    face = {"face": torch.randn(2, 64, 5, 5)}
    inputs = ScreenInputs(
        left_eye=torch.rand(2, 3, 112, 112), right_eye=torch.rand(2, 3, 112, 112), geometry=torch.rand(2, 12)
    )
    found = fusion(face, inputs)
    assert found.shape == (2, fusion.channels)
    moved = fusion(face, replace(inputs, geometry=inputs.geometry + 1))
    assert not torch.allclose(moved[:, :128], found[:, :128])  # the eyes' part
    assert torch.equal(moved[:, 128:192], found[:, 128:192])  # the face's
    small = replace(inputs, left_eye=torch.rand(2, 3, 64, 64), right_eye=torch.rand(2, 3, 64, 64))
    with pytest.raises(ValueError, match=r"expected 25: set dataset\.eye_size to 112"):
        fusion(face, small)


def test_every_cell_counts_at_first_and_may_stop_to():
    torch.manual_seed(0)
    fusion = SpatialWeights({"face": 3}, cells=4)
    features = {"face": torch.rand(2, 3, 2, 2)}
    torch.testing.assert_close(fusion(features, ScreenInputs()), features["face"].flatten(1), rtol=0.01, atol=0.01)
    nn.init.constant_(fusion.weight[4].bias, -1.0)
    assert not fusion(features, ScreenInputs()).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pooled(CHANNELS, cells=9)(maps(), ScreenInputs()), "2 x 2 = 4 cells; expected 9: set fusion.cells"),
        (
            lambda: Pooled(CHANNELS, corners=[7])(maps(), ScreenInputs(landmarks=torch.rand(4, 5, 2))),
            "5 landmarks; expected more than 7",
        ),
        (lambda: Pooled(CHANNELS, boxes=[4])(maps(), ScreenInputs()), "reads geometry, which the samples do not hold"),
        (lambda: AFFNet(CHANNELS), "trunk for the face alone, not for face, left_eye, right_eye"),
        (lambda: SpatialWeights(CHANNELS), "spatial weights are for one stream"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
