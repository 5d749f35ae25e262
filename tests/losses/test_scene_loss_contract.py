"""Every loss in conf/loss that is about scenes is finite, has a gradient, and is lower for the right answer."""

import pytest
import torch
from torch import nn

from gaze.heatmaps import gaussian_targets
from gaze.losses.loss import Loss
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets
from tests import groups

HALFWAY = Progress(5, 10, 5)
POINTS = torch.tensor([[[0.2, 0.3]], [[0.7, 0.6]], [[0.5, 0.1]]])


class Teacher(nn.Module):
    def forward(self, inputs):
        return ScenePrediction(right_answer())


def right_answer():
    return torch.logit(gaussian_targets(POINTS, (16, 16)), eps=1e-4)


def scene():
    inputs = SceneInputs(torch.rand(2, 3, 32, 32), torch.rand(3, 4), torch.tensor([0, 0, 1]))
    return Batch(inputs, SceneTargets(POINTS, torch.tensor([1.0, 1.0, 0.0]), torch.full((3, 2), 32)), torch.arange(2))


def is_about_scenes(name):
    return "ScenePrediction" in groups.forward_annotations(groups.node("loss", name))["prediction"]


NAMES = [name for name in groups.names("loss") if is_about_scenes(name)]


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    config = groups.node("loss", name)
    known = {"teacher": Teacher(), "amp": False}  # what a config leaves to its surroundings
    loss = groups.build(config, **{key: value for key, value in known.items() if key in config})
    assert isinstance(loss, Loss)

    heatmap = torch.randn(3, 16, 16, requires_grad=True)
    inout = torch.randn(3, requires_grad=True)
    wrong = loss(ScenePrediction(heatmap, inout), scene(), HALFWAY)
    assert wrong.shape == ()
    assert wrong.isfinite()
    wrong.backward()
    gradients = [g for g in (heatmap.grad, inout.grad) if g is not None]
    assert gradients
    assert all(g.isfinite().all() and g.abs().sum() > 0 for g in gradients)

    right = loss(ScenePrediction(right_answer(), torch.tensor([8.0, 8.0, -8.0])), scene(), HALFWAY)
    assert right < wrong
