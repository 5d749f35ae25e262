"""Both sides of what is timed of scenes give the same answer, in short and whatever they are made into."""

from functools import partial

import pytest

from gaze.backbones.conv_vit import ConvViT
from gaze.benchmark import frame_speed, scene_speed
from gaze.benchmark.frame_speed import FrameSpeed, compiled, frames, frames_640
from gaze.benchmark.scene_speed import comparable, scene_training
from gaze.hardware import Hardware


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    model = partial(comparable, ConvViT([8] * 5, width=16, heads=2), (14, 14))  # 7 x 7 tokens at 224 px
    for module in (scene_speed, frame_speed):
        monkeypatch.setattr(module, "small_model", model)
    monkeypatch.setattr(scene_speed, "product_rate", lambda *given: 1e11)


@pytest.mark.parametrize(
    ("workload", "ours"),
    [(scene_training, [["fp32", "bf16"], ["fp32", "bf16"]]), (frames, [["bf16"]]), (frames_640, []), (compiled, [])],
)
def test_both_sides_give_the_same_answer(workload, ours):
    results = [result.rows() for result in workload(1, Hardware("cpu"), small=True)]
    assert [[row["ours"] for row in rows] for rows in results] == ours
    assert all(row["same"] and row["ratio"] > 0 for rows in results for row in rows), results


@pytest.mark.slow
def test_a_file_says_what_the_published_code_says():
    model = frame_speed.small_model()
    (row, onnx) = FrameSpeed(model, (224, 224), Hardware("cpu"), 1).deployed(compiled=False).rows()
    assert (row["ours"], onnx["ours"].split(" (")[0]) == ("bf16", "ONNX Runtime")
    assert onnx["same"]


def test_pictures_at_once_and_maps_that_are_resized_are_compared_too():
    (row,) = (
        FrameSpeed(frame_speed.small_model(), (224, 224), Hardware("cpu"), 1).latency(2, images=2, fp32=False).rows()
    )
    assert row["workload"] == "2 frames at once, 2 persons each"
    assert row["same"]
