from dataclasses import replace

import pytest
import torch

from gaze.pictures.screens import DOT, screen_sheet
from gaze.synthesis.screen_world import ScreenWorld


@pytest.fixture(scope="module")
def samples():
    return ScreenWorld(face_size=32, eye_size=32).render(0, "test", range(0, 40, 10))


def dot(picture):
    away = (picture.int() - torch.tensor(DOT)[:, None, None]).abs().sum(0)
    rows, columns = (away < 30).nonzero().unbind(1)
    return columns.double().mean().item() + 0.5, rows.double().mean().item() + 0.5


def test_the_dot_is_where_the_eyes_look_seen_from_the_camera(samples):
    """Camera-frame axes, as the eyes in the crops have them: x = -point x, y = -point y."""
    for sample in samples:
        drawing = screen_sheet([sample], height=96)
        x, y = dot(drawing)
        margin = round(max(12.0, 4 * 96 / 26))
        expected = [96 / 2 * (1 - v / 22.0) for v in sample.gaze_cam_cm]
        assert x - margin - 3 * 96 == pytest.approx(expected[0], abs=1.5)
        assert y - margin == pytest.approx(expected[1], abs=1.5)


def test_a_sample_without_crops_is_refused(samples):
    with pytest.raises(ValueError, match="lacks a crop"):
        screen_sheet([replace(samples[0], face=None)])
