"""Both sides of what is timed of scenes give the same answer, in short and whatever they are made into."""

import pytest

from gaze.backbones.conv_vit import ConvViT
from gaze.benchmark import scene_speed
from gaze.benchmark.frame_speed import FrameSpeed, compiled, frames_640
from gaze.benchmark.scene_speed import comparable
from gaze.hardware import Hardware


@pytest.fixture
def speed(monkeypatch):
    """Of a toy with 7 x 7 tokens."""
    monkeypatch.setattr(scene_speed, "product_rate", lambda *given: 1e11)
    return FrameSpeed(comparable(ConvViT([8] * 5, width=16, heads=2), (14, 14)), (224, 224), Hardware("cpu"), 1)


def test_people_of_a_frame_and_frames_at_once_are_compared(speed):
    rows = [row for result in speed.frames([1, 2]) for row in result.rows()]
    assert [row["workload"] for row in rows] == [
        "frame, 1 person",
        "frame, 2 persons",
        "4 frames at once, 1 person each",
    ]
    assert all(row["same"] and row["ratio"] > 0 for row in rows), rows
    assert [*frames_640(1, Hardware("cpu"), small=True), *compiled(1, Hardware("cpu"), small=True)] == []


@pytest.mark.slow
def test_a_file_says_what_the_published_code_says(speed):
    row, onnx = speed.deployed(compiled=False).rows()
    assert (row["ours"], onnx["ours"]) == ("bf16", "ONNX Runtime")
    assert onnx["same"]
    assert onnx["warm_up_s"] > 0


def test_pictures_at_once_and_maps_that_are_resized_are_compared_too(speed):
    (row,) = speed.latency(2, images=2, fp32=False).rows()
    assert row["workload"] == "2 frames at once, 2 persons each"
    assert row["same"]
