"""Frames of people from a table or a model."""

import pyarrow as pa
import pytest
import torch
from torch import nn

from gaze.calibration.dots import CalibrationError
from gaze.calibration.people import Predictions, people_in, predict, with_dots
from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.screens.table import prediction_table
from gaze.types import Batch, ScreenInputs, ScreenPrediction, ScreenTargets
from tests.screens.labels import labels, rows


class Users(Dataset):
    """Twelve frames whose geometry alone tells who they are."""

    def __init__(self):
        self.labels = labels()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        facts = self.labels
        targets = ScreenTargets(point=facts.point[index], subject=facts.subject[index], fixation=facts.fixation[index])
        return Batch(ScreenInputs(geometry=facts.geometry[index]), targets, torch.tensor(index))

    def sample(self, index, draw):
        return self[index]


class Reader(nn.Module):
    """Its features are the geometry."""

    def forward(self, inputs):
        return ScreenPrediction(point=inputs.geometry[:, :2], features=inputs.geometry)


def test_a_model_gives_points_features_and_what_dots_are_for():
    found = predict(Reader(), Users(), Hardware(device="cpu", workers=0), labels(), batch_size=5)
    assert "linear_on_boxes_x" in found.table.column_names
    assert found.looks is None  # the model has no output head
    people = people_in(found)
    _, frames, meant = people["b"]
    assert list(people) == ["a", "b", "c"]
    torch.testing.assert_close(frames.features, labels().geometry[4:8].double())
    torch.testing.assert_close(frames.target, labels().point[4:8].double())
    assert frames.dot.tolist() == [2, 2, 3, 3]
    assert bool(meant.all())  # no dot is marked


def test_dots_that_are_marked_are_for_calibration():
    truth = labels()
    table = prediction_table(rows(truth, truth.point), truth)
    marked = torch.arange(12) % 4 < 2
    people = people_in(Predictions(table, None, marked))
    assert people["a"].meant.tolist() == [True, True, False, False]
    with pytest.raises(CalibrationError, match="no calibration dots"):
        people_in(Predictions(table.slice(0, 0)))


def test_frames_that_are_held_otherwise_than_the_marked_dots_are_left_as_they_are(capsys):
    truth = labels()
    table = prediction_table(rows(truth, truth.point), truth)
    held = table.column_names.index("orientation")
    table = table.set_column(held, "orientation", pa.array([1, 1, 1, 3] * 3))
    people = people_in(Predictions(table, None, torch.arange(12) == 4))
    assert people["b"].rows.tolist() == [4, 5, 6]
    assert people["b"].meant.tolist() == [True, False, False]
    assert people["a"].rows.tolist() == [0, 1, 2, 3]  # none is marked, so all are for calibration
    assert "1 of 12 frames are of other devices or orientations than the dots" in capsys.readouterr().out


def test_some_dots_of_the_people_that_are_asked_about():
    truth = labels()
    found = Predictions(prediction_table(rows(truth, truth.point), truth))
    people = people_in(found, ["c", "a"])
    assert {name: person.rows.tolist() for name, person in people.items()} == {"c": [8, 9, 10, 11], "a": [0, 1, 2, 3]}
    with pytest.raises(CalibrationError, match=r"nobody called 'x', 'y'; the split has a, b, c"):
        people_in(found, ["x", "a", "y"])
    some = with_dots(people["a"], 1, seed=0)
    assert some.meant.tolist() in ([True, True, False, False], [False, False, True, True])
    for dots in (0, 2, 3):
        with pytest.raises(
            CalibrationError, match=f"dots={dots} are to calibrate and 2 of 2 are there for it; at least"
        ):
            with_dots(people["a"], dots, seed=0)
