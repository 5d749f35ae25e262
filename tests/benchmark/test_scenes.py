"""Both sides of what is timed of scenes give the same answer, in short and whatever they are made into."""

from functools import partial

import pytest

from gaze.backbones.conv_vit import ConvViT
from gaze.benchmark import frame_speed, scene_speed
from gaze.benchmark.frame_speed import compiled, frames, frames_640
from gaze.benchmark.scene_speed import comparable, scene_training
from gaze.hardware import Hardware


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    model = partial(comparable, ConvViT([8, 8, 8, 8], width=16, heads=2), (28, 28))
    for module in (scene_speed, frame_speed):
        monkeypatch.setattr(module, "small_model", model)
    monkeypatch.setattr(scene_speed, "product_rate", lambda *given: 1e11)


@pytest.mark.parametrize(
    ("workload", "ours"),
    [
        (scene_training, [["fp32", "bf16"], ["fp32", "bf16"]]),
        (frames, [["bf16"], ["bf16"], ["bf16"]]),
        (frames_640, []),
        pytest.param(compiled, [["bf16", "ONNX Runtime"]], marks=pytest.mark.slow),
    ],
)
def test_both_sides_give_the_same_answer(workload, ours):
    results = [result.rows() for result in workload(1, Hardware("cpu"), small=True)]
    assert [[str(row["ours"]).split(" (")[0] for row in rows] for rows in results] == ours
    assert all(row["same"] and row["ratio"] > 0 for rows in results for row in rows), results
