"""GazeTR's transformer, and the one over all streams."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gaze.fusions.gazetr import GazeTR
from gaze.fusions.token_encoder import TokenEncoder
from gaze.types import ScreenInputs

SMALL = {"width": 8, "layers": 2, "heads": 2, "hidden": 16}
CELLS = {"face": 9, "eyes": 4}
CHANNELS = {"face": 6, "left_eye": 5, "right_eye": 5}


def test_it_is_the_transformer_of_the_paper():
    """torch's layers, one after the other, with positions added to what asks and what is asked."""
    torch.manual_seed(0)
    fusion = GazeTR({"face": 6}, cells=9, dropout=0.0, **SMALL).eval()
    maps = torch.randn(2, 6, 3, 3)
    tokens = torch.cat([fusion.summary.expand(2, -1, -1), fusion.reduce(maps).flatten(2).transpose(1, 2)], 1)
    for layer in fusion.layers:
        theirs = nn.MultiheadAttention(8, 2, batch_first=True)
        ours = layer.attention
        with torch.no_grad():
            theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
            theirs.out_proj.weight.copy_(ours.out.weight)
        asks = tokens + fusion.position
        tokens = layer.attention_norm(tokens + theirs(asks, asks, tokens)[0])
        tokens = layer.mlp_norm(tokens + layer.mlp(tokens))
    torch.testing.assert_close(fusion({"face": maps}, ScreenInputs()), fusion.norm(tokens)[:, 0])


def extended(samples=3):
    torch.manual_seed(0)
    fusion = GazeTR({"face": 6}, cells=9, landmarks=5, imu=True, **SMALL).eval()
    inputs = ScreenInputs(
        landmarks=torch.rand(samples, 5, 2), imu=torch.randn(samples, 9), imu_valid=torch.ones(samples)
    )
    return fusion, {"face": torch.randn(samples, 6, 3, 3)}, inputs


def test_what_a_sensor_or_a_detector_did_not_say_is_not_looked_at():
    fusion, features, inputs = extended()
    silent = replace(inputs, imu_valid=torch.tensor([1.0, 0.0, 0.0]))
    found = fusion(features, silent)
    assert not torch.allclose(found[1], fusion(features, inputs)[1], atol=1e-4)
    # Whatever stands there
    torch.testing.assert_close(
        fusion(features, replace(silent, imu=inputs.imu * torch.tensor([[1.0], [9.0], [-3.0]]))), found
    )
    nan = torch.full((3, 5, 2), math.nan)
    lost = fusion(features, replace(inputs, landmarks=nan))
    assert lost.isfinite().all()
    assert not torch.allclose(lost, fusion(features, inputs), atol=1e-4)
    nan[0, 0] = 0.5  # one landmark is known
    some = fusion(features, replace(inputs, landmarks=nan))
    torch.testing.assert_close(some[1:], lost[1:])
    assert not torch.allclose(some[0], lost[0], atol=1e-4)


def test_all_cells_of_all_streams_and_the_boxes_are_looked_at():
    torch.manual_seed(0)
    fusion = TokenEncoder(CHANNELS, CELLS, **SMALL).eval()
    features = {s: torch.randn(2, c, 3, 3) if s == "face" else torch.randn(2, c, 2, 2) for s, c in CHANNELS.items()}
    inputs = ScreenInputs(geometry=torch.rand(2, 12))
    found = fusion(features, inputs)
    for stream in CHANNELS:
        changed = features[stream].clone()
        changed[0, :, -1, -1] += 1
        other = fusion({**features, stream: changed}, inputs)
        torch.testing.assert_close(other[1], found[1])
        assert not torch.allclose(other[0], found[0], atol=1e-4)
    unknown = fusion(features, ScreenInputs(geometry=torch.tensor([[math.nan] * 12, [0.5] * 12])))
    assert unknown.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GazeTR({"face": 6, "left_eye": 6}), "GazeTR looks at one stream, not at face, left_eye"),
        (
            lambda: GazeTR({"face": 6}, **SMALL)({"face": torch.rand(1, 6, 3, 4)}, ScreenInputs()),
            "3 x 4 = 12 cells; expected 49: set fusion.cells",
        ),
        (
            lambda: extended()[0](extended()[1], ScreenInputs()),
            "reads landmarks, which the samples do not hold; add it to dataset.streams",
        ),
        (
            lambda: TokenEncoder(CHANNELS, {"face": 9}),
            "fusion.cells is .*; expected the cells of a map of face and of eyes",
        ),
        (
            lambda: TokenEncoder({"left_eye": 6, "right_eye": 6}, {"face": 9}),
            "fusion.cells is .*; expected the cells of a map of eyes",
        ),
        (lambda: TokenEncoder({**CHANNELS, "right_eye": 7}, CELLS), "expected the same for both"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
