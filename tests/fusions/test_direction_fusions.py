"""What describes a face, fused: switches, positions, sizes and gradients."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.fusions.direction_gazetr import DirectionGazeTR
from gaze.fusions.direction_mlp import DirectionMLP
from gaze.fusions.direction_tokens import DirectionTokens
from gaze.moe.mixture import Dense, Mixture
from gaze.runs import build as configured
from gaze.runs import plain_config
from gaze.shapes_only import shapes_only
from gaze.signatures import problems
from gaze.trusted import MODELS
from tests.groups import build, node

CHANNELS = {"f1": 6, "f2": 6, "f3": 5, "f4": 7}
SMALL = {"width": 16, "heads": 2, "hidden": 24, "moe_blocks": 1, "experts": 4, "expert_hidden": 16, "dropout": 0.0}
FULL = {"f1": 512, "f2": 512, "f3": 2048, "f4": 768}  # CLIP ViT-B/32 and a ResNet-50


def fusion(streams=CHANNELS, **changes):
    torch.manual_seed(0)
    return DirectionTokens(streams, **({"moe": Mixture} | SMALL | changes))


def faces(seed=0):
    draws = torch.Generator().manual_seed(seed)
    sizes = {"f1": (2, 6), "f2": (2, 6), "f3": (2, 5, 2, 3), "f4": (2, 4, 7)}
    return {name: torch.randn(size, generator=draws) for name, size in sizes.items()}


@pytest.mark.parametrize("stream", CHANNELS)
def test_a_switch_silences_a_stream_and_leaves_shapes_and_parameters(stream):
    kept, other = fusion(), faces() | {stream: faces(1)[stream]}
    assert not torch.allclose(kept(faces()).vector, kept(other).vector)
    for switch in ("zero", "mask"):
        made = fusion(ablate={stream: switch})
        found = made(faces())
        torch.testing.assert_close(made(other).vector, found.vector, rtol=0, atol=0)
        torch.testing.assert_close([made(other).balance, made(other).router_z], [found.balance, found.router_z])
        assert not torch.allclose(found.vector, kept(faces()).vector)
        assert {n: p.shape for n, p in made.named_parameters()} == {n: p.shape for n, p in kept.named_parameters()}
        found.vector.sum().backward()
        assert all(p.grad is not None for p in made.project.parameters())  # where DDP looks for them
    gone = fusion(ablate={stream: "off"})
    assert gone(faces()).vector.shape == (2, 16)
    assert sum(p.numel() for p in gone.parameters()) < sum(p.numel() for p in kept.parameters())
    without = fusion({name: c for name, c in CHANNELS.items() if name != stream})
    assert torch.equal(gone(faces()).vector, without(faces()).vector)


def test_every_parameter_learns_and_a_mixture_can_be_a_perceptron():
    torch.manual_seed(1)
    for made in (fusion(stream_dropout=0.2), fusion(moe=Dense), DirectionMLP(CHANNELS, 16)):
        found = made(faces())
        loss = found.vector.sin().sum()
        if isinstance(made, DirectionTokens):
            assert found.steered.shape == (2, 2, 16)
            loss = loss + found.steered.sum()
        if found.balance is not None:
            loss = loss + found.balance + found.router_z
        loss.backward()
        learns = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        still = {name for name, _ in made.named_parameters()} - learns - {f"missing.{s}" for s in CHANNELS}
        assert not still
        assert found.vector.shape == (2, made.channels)


def test_where_a_cell_is_matters_and_the_order_of_samples_does_not():
    made = fusion().eval()
    given = faces()
    found = made(given).vector
    moved = given | {"f3": given["f3"].flip(-1)}
    assert not torch.allclose(made(moved).vector, found, atol=1e-4)
    pooled = fusion(layout="pooled").eval()
    torch.testing.assert_close(pooled(moved).vector, pooled(given).vector)
    torch.testing.assert_close(made({name: x.flip(0) for name, x in given.items()}).vector, found.flip(0))


def test_streams_that_are_dropped_are_replaced_in_training_only():
    made, other = fusion(stream_dropout=1.0), faces(1)
    assert torch.equal(made(faces()).vector, made(other).vector)
    made.eval()
    assert not torch.allclose(made(faces()).vector, made(other).vector)


def test_half_of_the_bits_change_little():
    made = fusion().eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = made(faces())
    assert found.vector.dtype == torch.float32
    torch.testing.assert_close(found.vector, made(faces()).vector, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("tiny", 373_568), ("small", 7_900_416), ("base", 23_329_536), ("seed", 116_249_856), ("release", 201_212_160)],
)
def test_presets_are_as_large_as_the_reference_says(preset, parameters):
    with shapes_only():
        made = build(node("fusion", preset), moe=Mixture)(streams=FULL)
    assert sum(p.numel() for p in made.parameters()) == parameters


def test_a_config_chooses_experts_and_a_model_of_time_from_trusted_parts():
    parts = {"moe": "softmax_aux", "fusion": "tiny", "temporal": "bilstm"}
    with initialize_config_module("gaze.conf"):
        config = compose("train", ["model=gazelle_small", "dir=x", *(f"{k}={v}" for k, v in parts.items())])
    plain = plain_config(config)
    assert [list(problems(plain[part], part, MODELS)) for part in parts] == [[], [], []]
    made = configured(config.fusion)(streams=CHANNELS)
    assert made.layers[1].mlp.router.score == "softmax"
    assert configured(config.temporal)(channels=made.channels).channels == 64


def test_the_baseline_reads_means_and_may_lose_a_stream():
    made = DirectionMLP(CHANNELS, 16, {"f4": "off", "f1": "zero"})
    given = faces()
    assert made.layers[0].in_features == 17
    changed = given | {"f1": given["f1"] + 1, "f3": given["f3"].flip(-1), "f4": given["f4"] + 1}
    torch.testing.assert_close(made(changed).vector, made(given).vector)


def test_what_does_not_fit_is_a_sentence():
    with pytest.raises(ValueError, match=r"fusion.ablate has f5; expected some of f1, f2, f3, f4"):
        fusion(ablate={"f5": "keep"})
    with pytest.raises(ValueError, match=r"fusion.ablate.f1 is 'drop'; expected one of keep, zero"):
        fusion(ablate={"f1": "drop"})
    with pytest.raises(ValueError, match="streams text; expected some of"):
        fusion({"text": 3})
    with pytest.raises(ValueError, match="no stream left"):
        fusion({"f1": 3}, ablate={"f1": "off"})
    with pytest.raises(ValueError, match="moe_blocks is 1 without experts; choose moe=sigmoid_bias"):
        fusion(moe=None)
    with pytest.raises(ValueError, match="gives no f2.*fusion.ablate.f2=off"):
        fusion()({name: x for name, x in faces().items() if name != "f2"})
    with pytest.raises(ValueError, match="f4 has 3 tokens; expected those of a square grid"):
        fusion()(faces() | {"f4": torch.zeros(2, 3, 7)})
    with pytest.raises(ValueError, match="width 16 with 3 heads"):
        fusion(heads=3)


def test_gazetr_reads_the_map_alone_and_the_vectors_may_stay_as_they_are():
    made = DirectionGazeTR({"f3": 5}, width=8, layers=1, heads=2, hidden=8, cells=6)
    assert made({"f3": faces()["f3"]}).vector.shape == (2, made.channels)
    with pytest.raises(ValueError, match=r"the CNN's map \(f3\) alone, not at f1, f3; choose model=gaze_cnn"):
        DirectionGazeTR({"f1": 6, "f3": 5})
    plain, given = DirectionMLP({"f1": 6, "f3": 5}, width=None), faces()
    assert plain.channels == 11
    assert torch.equal(plain(given).vector, torch.cat([given["f1"], given["f3"].mean((-2, -1))], 1))
