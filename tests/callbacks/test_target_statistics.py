"""The mean and spread of the points to learn reach the model, its average, and every export."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.callbacks.ema import EMA
from gaze.callbacks.target_statistics import TargetStatistics
from gaze.heads.point import PointHead
from gaze.types import ScreenInputs

POINTS = torch.tensor([[1.0, -4.0], [3.0, -4.0], [5.0, -10.0], [7.0, -6.0]])


class Points:
    def __init__(self, points=POINTS):
        self.labels = SimpleNamespace(point=points)

    def name(self, index):
        return f"frame {index}"


def trainer_of(model, train_set=None):
    return SimpleNamespace(
        model=model, eval_model=model, train_set=train_set or Points(), progress=SimpleNamespace(step=0)
    )


def test_a_zero_output_means_the_mean_and_the_unit_is_the_spread():
    head = PointHead(4)
    nn.init.zeros_(head.point.weight)
    nn.init.zeros_(head.point.bias)
    TargetStatistics().fit_start(trainer_of(head))
    prediction = head(torch.rand(3, 4), ScreenInputs())
    assert torch.allclose(prediction.point, torch.tensor([4.0, -6.0]).expand(3, 2))
    assert torch.allclose(prediction.unit_cm, torch.tensor([5.0, 6.0]).sqrt().expand(3, 2))
    assert set(dict(head.standard.named_buffers())) <= set(head.standard.state_dict())


@pytest.mark.parametrize("first", [0, 1])
def test_an_average_has_them_too_whoever_comes_first(first):
    model = PointHead(4)
    callbacks = [TargetStatistics(), EMA()]
    trainer = trainer_of(model)
    for callback in callbacks[::-1] if first else callbacks:
        callback.fit_start(trainer)
    assert trainer.eval_model is not model
    assert torch.equal(trainer.eval_model.standard.mean_cm, torch.tensor([4.0, -6.0]))


def test_what_weights_were_learnt_with_stays():
    model = PointHead(4)
    model.standard.set(torch.tensor([0.0, -9.0]), torch.tensor([2.0, 3.0]))
    TargetStatistics().fit_start(trainer_of(model))
    assert model.standard.mean_cm.tolist() == [0, -9]


def test_an_axis_that_does_not_vary_keeps_its_centimetres():
    model = PointHead(4)
    TargetStatistics().fit_start(trainer_of(model, Points(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))))
    assert model.standard.unit_cm.tolist() == [1, 1]
    assert model.standard.mean_cm.tolist() == [2, 5]


def test_what_cannot_be_is_said():
    broken = POINTS.clone()
    broken[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 4 training points are not finite, first frame 2"):
        TargetStatistics().fit_start(trainer_of(PointHead(4), Points(broken)))
    with pytest.raises(ValueError, match="SimpleNamespace has no `labels`"):
        TargetStatistics().fit_start(trainer_of(PointHead(4), SimpleNamespace()))
    with pytest.raises(ValueError, match="Linear has no part that standardises"):
        TargetStatistics().fit_start(trainer_of(nn.Linear(2, 2)))
