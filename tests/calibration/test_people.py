"""Frames of people from a table or a model."""

import pytest
import torch
from torch import nn

from gaze.calibration.dots import CalibrationError
from gaze.calibration.people import Predictions, people_in, predict_with_features
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
    found = predict_with_features(Reader(), Users(), Hardware(device="cpu", workers=0), batch_size=5)
    people = people_in(found)
    frames, meant = people["b"]
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
    assert people["a"][1].tolist() == [True, True, False, False]
    with pytest.raises(CalibrationError, match="no calibration dots"):
        people_in(Predictions(table.slice(0, 0)))
