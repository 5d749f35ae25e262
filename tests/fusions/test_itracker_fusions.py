"""The fusions of iTracker and its attention successors."""

import pytest
import torch
from torch import nn

from gaze.fusions.attention import Attention
from gaze.fusions.channel_attention import ChannelAttention
from gaze.fusions.hybrid_gaze import HybridGaze
from gaze.fusions.itracker import ITracker
from gaze.fusions.mixing import ResidualNormMixing
from gaze.fusions.pooled_gaze import PooledGaze
from gaze.fusions.stream_encoder import StreamEncoder
from gaze.types import ScreenInputs

CHANNELS = {"left_eye": 8, "right_eye": 8, "face": 8}
CELLS = {"face": 16, "eyes": 4}
FUSIONS = {
    "hybrid": lambda: HybridGaze(CHANNELS, CELLS, width=16, heads=2, hidden=16),
    "queries": lambda: HybridGaze(CHANNELS, CELLS, width=16, heads=2, hidden=16, query_pool=2),
    "pooled": lambda: PooledGaze(CHANNELS, width=16, heads=2, hidden=16),
    "unprojected": lambda: PooledGaze(CHANNELS, width=8, heads=2, inner=4, hidden=16),
    "mixed": lambda: ITracker(CHANNELS, mixing=lambda width: ResidualNormMixing(width, 2, 4, 16)),
    "encoder": lambda: StreamEncoder(CHANNELS, width=16, heads=2, hidden=16, landmarks=5, imu=True),
}


def maps(samples=3):
    draws = torch.Generator().manual_seed(1)
    sizes = {"left_eye": 2, "right_eye": 2, "face": 4}
    return {s: 3 * torch.randn(samples, 8, n, n, generator=draws) for s, n in sizes.items()}


def inputs(samples=3):
    draws = torch.Generator().manual_seed(2)
    return ScreenInputs(
        geometry=torch.rand(samples, 12, generator=draws),
        landmarks=torch.rand(samples, 5, 2, generator=draws),
        imu=torch.randn(samples, 9, generator=draws),
        imu_valid=torch.ones(samples),
    )


def attentions(fusion, features, given):
    """Weights of each attention in a pass, by its name."""
    found, hooks = {}, []
    for name, module in fusion.named_modules():
        if isinstance(module, Attention):
            hook = lambda m, args, out, name=name: found.update({name: m.weights(args[0], args[1])})  # noqa: E731
            hooks.append(module.register_forward_hook(hook))
    fusion(features, given)
    return found


@pytest.mark.parametrize("name", FUSIONS)
def test_every_attention_has_a_choice_makes_it_by_the_sample_and_learns_it(name):
    torch.manual_seed(0)
    fusion = FUSIONS[name]().eval()
    features, given = maps(), inputs()
    for where, weights in attentions(fusion, features, given).items():
        assert weights.shape[-1] >= 2, f"{where}: a softmax over one key is always 1"
        assert (weights[0] - weights[1]).abs().max() > 1e-4, where
    found = fusion(features, given)
    assert found.shape == (3, fusion.channels)
    found.square().sum().backward()
    for where, module in fusion.named_modules():
        if isinstance(module, Attention):
            assert module.query.weight.grad.abs().max() > 1e-7, where
            assert module.key.weight.grad.abs().max() > 1e-7, where


def test_the_first_version_normalises_what_it_adds_not_what_it_reads():
    torch.manual_seed(0)
    mixing = ResidualNormMixing(8, 2, 4, 16)
    nn.init.zeros_(mixing.mlp_norm.weight)
    tokens = 100 * torch.randn(2, 3, 8)
    added = mixing(tokens) - tokens
    torch.testing.assert_close(added, mixing.attention_norm(mixing.attention(tokens, tokens)), rtol=1e-3, atol=1e-4)
    assert added.abs().max() < 4  # a norm's output, however large what it reads is


def test_channel_attention_is_an_outer_product_over_its_width():
    torch.manual_seed(0)
    fusion = ChannelAttention(CHANNELS, inner=6)
    features = maps()
    attend, face, eye = fusion.attend["left_eye"], features["face"].mean((2, 3)), features["left_eye"].mean((2, 3))
    q, k, v = attend.query(face)[0], attend.key(eye)[0], attend.value(eye)[0]
    expected = attend.out((torch.outer(q, k) / 6).softmax(-1) @ v)
    found = fusion(features, inputs())
    torch.testing.assert_close(found[0, :8], expected)
    assert fusion.channels == found.shape[1] == 16


def test_classic_itracker_reads_the_place_of_the_face():
    fusion = ITracker(dict.fromkeys(CHANNELS, 8), None, [4], [4], [5, 3])
    features = maps()
    known = fusion(features, inputs())
    assert known.shape == (3, 11)
    moved = fusion(features, ScreenInputs(geometry=torch.tensor([[0.0, 0.0, 0.1, 0.1] + [0.0] * 8]).expand(3, -1)))
    assert torch.equal(known[:, :8], moved[:, :8])
    assert not torch.equal(known[:, 8:], moved[:, 8:])
    with pytest.raises(ValueError, match=r"geometry.*dataset\.streams"):
        fusion(features, ScreenInputs())


@pytest.mark.parametrize("name", ["hybrid", "encoder"])
def test_unknown_boxes_landmarks_and_sensors_harm_nobody(name):
    torch.manual_seed(0)
    fusion = FUSIONS[name]().eval()
    given, features = inputs(), maps()
    unknown = given.map(lambda t: torch.cat([torch.full_like(t[:1], torch.nan), t[1:]]))
    found, expected = fusion(features, unknown), fusion(features, given)
    assert found.isfinite().all()
    torch.testing.assert_close(found[1:], expected[1:])
    assert not torch.allclose(found[0], expected[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PooledGaze({"face": 8}), r"both eyes and the face; model\.trunks give face"),
        (
            lambda: ITracker({**CHANNELS, "face": 4}, mixing=lambda width: ResidualNormMixing(width)),
            "expected the same of all to mix",
        ),
        (lambda: ITracker(CHANNELS, cells=9)(maps(), inputs()), "expected 9: set fusion.cells"),
        (lambda: HybridGaze(CHANNELS, {"face": 9, "eyes": 4})(maps(), inputs()), r"set fusion\.cells\.face"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
