"""The in/out loss."""

import math

import pytest
import torch

from gaze.losses.inout import InoutBCE
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets

START = Progress(0, 10, 5)


def batch(inout):
    n = len(inout)
    targets = SceneTargets(torch.full((n, 1, 2), math.nan), torch.tensor(inout), torch.full((n, 2), 100))
    return Batch(SceneInputs(torch.rand(1, 3, 8, 8), torch.rand(n, 4), torch.zeros(n).long()), targets, torch.arange(1))


def test_is_the_mean_over_known_labels():
    logits = torch.tensor([0.3, -2.0, 5.0], requires_grad=True)
    loss = InoutBCE()(ScenePrediction(torch.zeros(3, 2, 2), logits), batch([1.0, 0.0, math.nan]), START)
    expected = (math.log(1 + math.exp(-0.3)) + math.log(1 + math.exp(-2.0))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert logits.grad[2] == 0


def test_no_known_label_is_a_zero_with_a_graph():
    logits = torch.zeros(2, requires_grad=True)
    loss = InoutBCE()(ScenePrediction(torch.zeros(2, 2, 2), logits), batch([math.nan] * 2), START)
    assert loss.item() == 0
    loss.backward()
    assert logits.grad.eq(0).all()


def test_a_model_without_in_out_is_refused():
    with pytest.raises(ValueError, match=r"set head.inout=true, or take inout_bce out of loss"):
        InoutBCE()(ScenePrediction(torch.zeros(1, 2, 2)), batch([1.0]), START)
