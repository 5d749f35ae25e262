"""Both sides of what is compared about models of gaze in 3D, and of features that are kept, say the same."""

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.backbones.timm_features import TimmFeatures
from gaze.benchmark import direction_speed, multiplications
from gaze.benchmark.clock import Timing
from gaze.benchmark.direction_speed import Step, gazetr, gazetr_training, towers
from gaze.benchmark.feature_speed import features
from gaze.benchmark.gazeformer_speed import gazeformer, gazeformer_training
from gaze.benchmark.multiplications import operations, shares
from gaze.benchmark.prompt_speed import TextTower, vit_b32
from gaze.clip.tiny_random import TinyRandom
from gaze.hardware import Hardware
from gaze.runs import build
from gaze.shapes_only import shapes_only

CPU, SMALL = Hardware("cpu"), "test_resnet"


@pytest.fixture(autouse=True)
def known_machine(monkeypatch):
    monkeypatch.setattr(multiplications, "product_rate", lambda *_: 1e9)


def composed(*overrides):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=["dir=unused", *overrides])


def test_gazetr_and_ours_look_the_same_way(monkeypatch):
    monkeypatch.setattr(direction_speed, "TimmFeatures", lambda name: TimmFeatures(SMALL))
    (result,) = gazetr_training(1, CPU, small=True)
    rows = result.rows()
    assert [row["ours"] for row in rows] == ["fp32", "bf16"]
    assert all(row["same"] and row["fair_ratio"] > 0 and row["limit_share"] > 0 for row in rows), rows


def test_the_prototype_and_ours_look_the_same_way(monkeypatch):
    def text():
        return TextTower(width=32, depth=1, heads=2, words=1000)

    def init(step, *given, **options):
        begin(step, *given, **options)
        made.append(step)

    made, begin = [], Step.__init__
    monkeypatch.setattr(Step, "__init__", init)

    results = list(gazeformer_training(1, CPU, small=True, tower=TinyRandom, texts=text, network=SMALL))
    assert all(row["same"] for result in results for row in result.rows()), results
    assert [row["ours"] for row in results[1].rows()] == ["tower", "CNN", "fusion"]
    for published in made[:2]:  # gradients reach the words, and nobody trains them
        assert published.model.texts.embed.weight.grad is not None
        assert not any(parameter in published.optimizer.state for parameter in published.model.texts.parameters())


def test_towers_say_the_same_in_any_layout(monkeypatch):
    monkeypatch.setattr(direction_speed, "TimmFeatures", lambda name: TimmFeatures(SMALL))
    monkeypatch.setattr(direction_speed, "vit_b32", TinyRandom)
    rows = [row for result in towers(1, CPU, small=True) for row in result.rows()]
    assert all(row["same"] for row in rows), rows


def test_what_was_kept_is_what_the_tower_says():
    epoch, keys, rows = features(1, CPU, small=True, tower=TinyRandom)
    assert all(row["same"] for row in epoch.rows())
    assert {row["ours"] for row in epoch.rows()} == {row["ours"] for row in rows.rows()}
    assert keys.rows()[0]["ours"] == "fingerprint"


def test_the_models_are_as_large_as_those_of_the_configs():
    def size(model):
        return sum(parameter.numel() for parameter in model.parameters())

    with shapes_only():
        assert size(gazetr()) == size(build(composed("experiment=gazetr_xgaze").model))
        fusions = [
            model.fusion
            for model in (
                gazeformer(vit_b32()),
                build(composed("model=gazeformer", "clip.weights=null", "backbone.weights=null").model),
            )
        ]
    assert size(fusions[0]) == size(fusions[1])


def test_products_of_attention_are_counted():
    query = torch.randn(1, 2, 8, 4)
    assert (
        operations(lambda: torch.nn.functional.scaled_dot_product_attention(query, query, query)) == 4 * 2 * 8 * 8 * 4
    )


def test_variants_are_measured_by_their_number_format_and_peers_not_at_all():
    one, layer = Timing(2.0, 2.0), torch.nn.Linear(3, 5, bias=False)
    timings = {"published": one, "fp32": one, "fp32, not folded": one, "bf16": one}
    found = shares(timings, lambda: layer(torch.zeros(1, 3)), {"fp32": 30.0, "bf16": 60.0})
    assert found == {"fp32": 0.5, "fp32, not folded": 0.5, "bf16": 0.25}
