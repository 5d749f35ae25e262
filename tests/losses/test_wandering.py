"""What must hold where gaze wanders from the label's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gaze.losses.wandering import Leak, WanderedGaze
from gaze.types import Batch, DirectionInputs, DirectionPrediction, FaceInputs, FacePrediction, FaceTargets, Progress

NOW = Progress(0, 10, 5)


def batch(side: int = 32) -> Batch:
    eye = torch.zeros(1, side, side, dtype=torch.bool)
    eye[:, 10:14, 8:12] = True
    targets = FaceTargets(torch.ones(1, 3, side, side), ~eye, eye, torch.zeros_like(eye))
    return Batch(DirectionInputs(torch.zeros(1, 3, 1, 1)), targets, torch.tensor([0]))


def test_only_changes_away_from_the_eyes_leak():
    loss, image = Leak(), torch.full((1, 3, 32, 32), 0.5)
    near, far = image.clone(), image.clone()
    near[:, :, 11, 9] = 1.0
    far[:, :, 30, 30] = 1.0
    assert loss(FacePrediction(image, wandered=near), batch(), NOW) == 0
    # Eyes of 4 x 4 with 2 px around them leave 32 * 32 - 8 * 8 pixels, one of which is off by a half
    assert loss(FacePrediction(image, wandered=far), batch(), NOW).item() == pytest.approx(0.5 / (1024 - 64))


def test_what_leaks_teaches_the_wandered_view_alone():
    image, wandered = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))
    Leak()(FacePrediction(image, wandered=wandered), batch(), NOW).backward()
    assert image.grad is None
    assert wandered.grad.abs().sum() > 0


class Looks(nn.Module):
    """Sees whatever the mean colour is as the direction."""

    face_size = (8, 8)

    def forward(self, inputs):
        assert inputs.face.shape[-2:] == (8, 8)
        return DirectionPrediction(inputs.face.mean((2, 3)) - 0.5)


def test_the_gaze_that_was_asked_for_is_the_truth():
    shown = torch.tensor([0.5, 0.5, 0.0])[None, :, None, None].expand(1, 3, 32, 32)
    asked = torch.tensor([[0.0, 1.0, 0.0]])
    loss = WanderedGaze(Looks())
    assert loss(FacePrediction(shown, wandered=shown, wandered_gaze=asked), batch(), NOW).item() == pytest.approx(
        torch.pi / 2, abs=1e-5
    )
    ahead = torch.tensor([[0.0, 0.0, -1.0]])
    assert loss(FacePrediction(shown, wandered=shown, wandered_gaze=ahead), batch(), NOW).item() < 1e-5


def test_a_run_of_another_task_sees_no_gaze():
    class Reads(nn.Module):
        def forward(self, inputs: FaceInputs) -> FacePrediction:
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"loss.wandered_gaze.estimator is a Reads, which reads FaceInputs"):
        WanderedGaze(Reads())


def test_validation_has_no_such_view():
    prediction = FacePrediction(torch.rand(1, 3, 32, 32))
    assert Leak().eval()(prediction, batch(), NOW) == 0
    for loss in (Leak(), WanderedGaze(Looks())):
        with pytest.raises(ValueError, match=r"needs model.wander_rad above 0"):
            loss(prediction, batch(), NOW)
