from dataclasses import replace

import pytest
import torch

from gaze.pictures.gazes import gaze_sheet
from gaze.pictures.screens import DOT, GLASS, GUESS
from gaze.types import ScreenPrediction
from tests.stubs.screen import Screens

SIDE = 96  # of each crop and drawing, px


class Held(Screens):
    """The stub's samples with the screen they are from: 6 x 10 cm, 6 cm below the camera and 2 cm to its right."""

    def __init__(self, *streams):
        super().__init__("val", streams or ["face", "left_eye", "right_eye"], samples=3)
        self.points = torch.tensor([[0.0, -4.0], [4.0, -9.0], [1.0, -2.0]])

    def sample(self, index, generator):
        sample = super().sample(index, generator)
        told = {"screen_cm": torch.tensor([6.0, 10.0]), "centre": torch.tensor([2.0, -6.0])}
        return replace(sample, targets=replace(sample.targets, **told))


def place(picture, colour):
    """Middle of what has a colour, px."""
    away = (picture.int() - torch.tensor(colour)[:, None, None]).abs().sum(0)
    rows, columns = (away < 40).nonzero().unbind(1)
    assert len(rows), "nothing has this colour"
    return columns.double().mean().item() + 0.5, rows.double().mean().item() + 0.5


def drawing(points, index=0, crops=3):
    """The drawing of the screen on a sheet of one sample."""
    streams = ["face", "left_eye", "right_eye"][:crops]
    sheet = gaze_sheet(Held(*streams), [index], lambda batch: ScreenPrediction(points), height=SIDE)
    margin = round(max(12.0, (crops + 1) * SIDE / 26))
    return sheet[:, margin : margin + SIDE, margin + crops * SIDE : margin + (crops + 1) * SIDE]


REACH = 1.1 * 11.0  # the lower edge is furthest from the camera


@pytest.mark.parametrize("index", [0, 1])
def test_truth_and_prediction_are_where_they_are_from_the_camera_that_sees_the_user(index):
    point = torch.tensor([[-3.0, -7.0]])
    found = drawing(point, index)
    for (x, y), colour in ((Held().points[index].tolist(), DOT), (point[0].tolist(), GUESS)):
        right, down = place(found, colour)
        assert right == pytest.approx(SIDE / 2 * (1 - x / REACH), abs=1.5)
        assert down == pytest.approx(SIDE / 2 * (1 - y / REACH), abs=1.5)


def test_the_screen_is_drawn_at_its_size_and_place():
    found = drawing(torch.tensor([[0.0, -4.0]]))
    away = (found.int() - torch.tensor(GLASS)[:, None, None]).abs().sum(0) < 12
    rows, columns = away.any(1).nonzero(), away.any(0).nonzero()
    scale = SIDE / 2 / REACH
    assert float(rows.max() - rows.min()) == pytest.approx(10 * scale, abs=3)
    assert float(columns.max() - columns.min()) == pytest.approx(6 * scale, abs=3)  # corners and edges are soft
    assert float(columns.double().mean()) < SIDE / 2  # what users have on their right is on the left


def test_what_is_far_off_is_at_the_edge_and_crops_that_are_not_there_are_left_out():
    right, down = place(drawing(torch.tensor([[-1e6, 0.0]]), crops=1), GUESS)
    assert right > SIDE - 4
    assert down == pytest.approx(SIDE / 2, abs=2)
