"""The worst heads, worst first, each alone in its picture."""

import math

import pytest
import torch

from gaze.comparison import compare
from gaze.hardware import Hardware
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.metrics.per_head import HeadFigure
from gaze.pictures import failures
from gaze.pictures.failures import failure_sheet, worst
from tests.stubs.heads import Guess, Heads

NAN = math.nan
HARDWARE = Hardware("cpu", workers=0)


def recorded(dataset, model):
    return compare({"guess": model}, dataset, {"l2": HeatmapDistance()}, HARDWARE).records["guess"]


def predicting(model):
    return lambda batch: model(HARDWARE.place(batch).inputs)


def test_the_worst_come_first_failed_predictions_before_all_and_equals_in_their_order():
    value = torch.tensor([0.2, NAN, 0.5, 0.5, 0.9, 0.5, NAN, NAN], dtype=torch.float64)
    counted = torch.tensor([True, True, True, True, False, True, True, False])
    assert worst(HeadFigure(value, counted), 24).tolist() == [1, 6, 2, 3, 5, 0]
    assert worst(HeadFigure(value, counted), 3).tolist() == [1, 6, 2]


@pytest.fixture
def captioned(monkeypatch):
    """What the sheet is made of: pictures, captions and title."""
    made = []
    real = failures.sheet
    monkeypatch.setattr(failures, "sheet", lambda *parts: made.append(parts) or real(*parts))
    return made


def test_each_has_its_picture_its_name_and_its_distance(captioned):
    dataset, model = Heads(), Guess()
    records = recorded(dataset, model)
    model.calls = 0
    picture = failure_sheet(dataset, records, predicting(model), count=7, height=48)
    assert model.calls == 1
    pictures, captions, title, columns = captioned[0]
    figure = records.figures["min_l2"]
    heads = worst(figure, 7).tolist()
    assert len(pictures) == 7
    for head, caption, drawn in zip(heads, captions, pictures, strict=True):
        index, number = int(records.index[head]), int(records.head[head])
        shared = f"   person {number + 1}" if index % 3 else ""
        assert caption == f"room/{index:02d}.png{shared}   min_l2 {float(figure.value[head]):.3f}"
        height, width = records.image_size[head].tolist()
        assert drawn.shape == (3, 48, round(48 * width / height))
    assert "7 worst of" in title
    assert columns == 6
    assert torch.equal(picture, failure_sheet(dataset, records, predicting(model), count=7, height=48))


def test_what_is_drawn_is_this_head_alone(captioned):
    """As if the others were not in the picture."""
    dataset, model = Heads(pictures=3), Guess()
    records = recorded(dataset, model)
    failure_sheet(dataset, records, predicting(model), height=48)
    order = worst(records.figures["min_l2"], 24).tolist()
    for place, head in enumerate(order):
        lonely = Heads(pictures=3)
        index, number = int(records.index[head]), int(records.head[head])
        inputs, targets = lonely.scenes[index]
        mine = slice(number, number + 1)
        lonely.scenes = [
            (
                type(inputs)(inputs.image, inputs.head_bbox[mine], inputs.image_index[mine]),
                type(targets)(targets.points[mine], targets.inout[mine], targets.image_size[mine]),
            )
        ]
        failure_sheet(lonely, recorded(lonely, model), predicting(model), height=48)
        assert torch.equal(captioned[-1][0][0], captioned[0][0][place])


def test_a_failed_prediction_is_drawn_without_one_and_says_so(captioned):
    dataset = Heads()
    index = next(i for i, (_, targets) in enumerate(dataset.scenes) if targets.inout[0] == 1)
    model = Guess(break_at=float(dataset.scenes[index][0].head_bbox[0, 0]))
    failure_sheet(dataset, recorded(dataset, model), predicting(model), height=48)
    assert captioned[0][1][0].startswith(f"room/{index:02d}.png")
    assert captioned[0][1][0].endswith("no prediction: NaN")
    assert (captioned[0][0][0] != 100).any()  # the box and the rings are there


def test_nobody_to_show_is_no_sheet():
    dataset = Heads(pictures=2)
    records = recorded(dataset, Guess())
    figure = records.figures["min_l2"]
    records.figures["min_l2"] = HeadFigure(figure.value, torch.zeros_like(figure.counted))
    assert failure_sheet(dataset, records, predicting(Guess())) is None
