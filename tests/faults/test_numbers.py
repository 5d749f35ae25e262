"""NaN where numbers belong, gradients that explode, and models that answer the same to everything."""

from __future__ import annotations

import logging

import pytest
import torch

from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.guard import NonFiniteError
from gaze.losses.objective import Objective
from gaze.metrics.angular_error import AngularError
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.metrics.inout_precision import InoutPrecision
from gaze.metrics.point_error import PointError
from gaze.types import (
    DirectionPrediction,
    DirectionTargets,
    ScenePrediction,
    SceneTargets,
    ScreenPrediction,
    ScreenTargets,
)
from tests.stubs.line import Net, Squared
from tests.stubs.training import line_trainer


class Spoil(Callback):
    """Puts NaN somewhere after a step."""

    def __init__(self, step, where):
        self.step, self.where = step, where

    def step_end(self, trainer, terms):
        if trainer.progress.step == self.step:
            with torch.no_grad():
                self.where(trainer).view(-1)[0] = torch.nan


@pytest.mark.fault("N2")
def test_steps_that_stay_bad_end_the_run_and_name_the_last_good_checkpoint(tmp_path):
    class Broken(Squared):
        def forward(self, prediction, batch, progress):
            return super().forward(prediction, batch, progress) * (torch.nan if progress.step >= 7 else 1.0)

    callbacks = {"log": Log(), "checkpoint": Checkpoint(every_steps=1)}
    run = line_trainer(
        tmp_path, callbacks, objective=Objective({"squared": Broken()}), on_nonfinite="skip", max_skipped=3
    )
    with pytest.raises(
        NonFiniteError, match=r"step 10: .*4 bad steps, more than .*last good checkpoint is .*step-00000010"
    ):
        run.fit()
    fresh = Net()
    run.run.last.load(fresh)
    assert all(torch.isfinite(p).all() for p in fresh.parameters())


@pytest.mark.fault("N3")
def test_gradients_that_explode_are_clipped_after_the_backward_pass(tmp_path):
    class Exploding(Squared):
        def forward(self, prediction, batch, progress):
            return super().forward(prediction, batch, progress) * (1e6 if progress.step == 7 else 1.0)

    callbacks = {"log": Log(every_steps=1), "checkpoint": Checkpoint()}
    model = Net(dropout=0.0)
    optimizer = torch.optim.SGD([{"params": list(model.parameters()), "lr": 0.02, "base_lr": 0.02}])
    calm = {"model": model, "optimizer": optimizer, "clip_norm": 1.0, "epochs": 8}
    run = line_trainer(tmp_path, callbacks, objective=Objective({"squared": Exploding()}), **calm)
    before = run.validate()["mae"]
    assert run.fit()["mae"] < before
    norms = {e.step: e.values["train/grad_norm"] for e in run.run.journal.read() if "train/grad_norm" in e.values}
    assert norms[8] > 1e4  # as it was before clipping
    assert max(norm for step, norm in norms.items() if step != 8) < 100


@pytest.mark.fault("N4")
@pytest.mark.parametrize("part", ["backbone.stem.weight", "backbone.layers.0.0.running_var"])
def test_weights_that_are_no_numbers_are_found_before_the_first_step(tmp_path, part):
    model = Net()
    model.backbone.requires_grad_(False)
    model.state_dict()[part].view(-1)[1] = torch.nan
    run = line_trainer(tmp_path, model=model)
    with pytest.raises(
        NonFiniteError, match=rf"the model holds weights that are NaN or infinite: {part}; .*No checkpoint"
    ):
        run.fit()
    assert run.progress.step == 0


@pytest.mark.fault("N4")
@pytest.mark.parametrize(
    ("where", "message"),
    [
        (lambda t: t.model.backbone.stem.weight, r"the model itself holds NaN or infinity: backbone\.stem\.weight"),
        (
            lambda t: t.model.backbone.layers[1][0].running_mean,
            r"the model holds .*: backbone\.layers\.1\.0\.running_mean",
        ),
        (lambda t: t.eval_model.head.weight, r"the average of the model holds .*: head\.weight"),
    ],
)
def test_weights_that_become_none_are_never_saved(tmp_path, where, message):
    # Steps 3 and 6 are saved; the fault comes after 4
    callbacks = {"ema": EMA(0.9), "spoil": Spoil(4, where), "checkpoint": Checkpoint(every_steps=3)}
    run = line_trainer(tmp_path, callbacks, on_nonfinite="skip")
    with pytest.raises(NonFiniteError, match=f"(?i){message}.*last good checkpoint is .*step-00000003"):
        run.fit()
    assert run.run.last.steps() == [3]


def scenes(n: int = 16) -> SceneTargets:
    draw = torch.Generator().manual_seed(0)
    inout = (torch.arange(n) % 2).float()
    return SceneTargets(torch.rand(n, 1, 2, generator=draw), inout, torch.full((n, 2), 100))


def said(metric, prediction, targets, caplog) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for half in (0, 1):
            metric.update(prediction, targets)
            if half:
                metric.compute()
    return caplog.text


@pytest.mark.fault("N5")
def test_constant_predictions_are_said_with_what_they_are(caplog):
    varied = torch.randn(16, 8, 8, generator=torch.Generator().manual_seed(1))
    centre = torch.zeros(16, 8, 8)
    centre[:, 4, 4] = 1.0
    one, many = torch.full((16,), 0.7), torch.linspace(-1, 1, 16)
    assert "all 32 in/out logits are (0.7), spread 0: inout_ap is the share of positives" in said(
        InoutPrecision(), ScenePrediction(varied, one), scenes(), caplog
    )
    assert said(InoutPrecision(), ScenePrediction(varied, many), scenes(), caplog) == ""
    assert "all 32 peaks of heatmaps (x, y) are (0.5, 0.5), spread 0" in said(
        HeatmapDistance("subcell"), ScenePrediction(centre, one), scenes(), caplog
    )
    assert said(HeatmapDistance(), ScenePrediction(varied, one), scenes(), caplog) == ""
    point = torch.tensor([[1.5, -4.0]]).repeat(16, 1)
    truth = torch.randn(16, 2, generator=torch.Generator().manual_seed(2))
    assert "all 32 points (x, y) are (1.5, -4), spread 0" in said(
        PointError(), ScreenPrediction(point), ScreenTargets(truth), caplog
    )
    assert said(PointError(), ScreenPrediction(truth), ScreenTargets(truth), caplog) == ""
    gaze = torch.nn.functional.normalize(torch.randn(16, 3, generator=torch.Generator().manual_seed(3)), dim=-1)
    ahead = torch.tensor([[0.0, 0.0, -1.0]]).repeat(16, 1)
    assert "all 32 directions (x, y, z) are (0, 0, -1), spread 0" in said(
        AngularError(), DirectionPrediction(ahead), DirectionTargets(gaze), caplog
    )
    assert said(AngularError(), DirectionPrediction(gaze), DirectionTargets(gaze), caplog) == ""


@pytest.mark.fault("N5")
def test_it_is_said_once(caplog):
    metric = InoutPrecision()
    prediction = ScenePrediction(torch.zeros(16, 2, 2), torch.zeros(16))
    assert said(metric, prediction, scenes(), caplog)
    metric.reset()
    assert said(metric, prediction, scenes(), caplog) == ""
    fresh = InoutPrecision()
    fresh.update(prediction.map(lambda t: t[:7]), scenes().map(lambda t: t[:7]))
    fresh.compute()
    assert caplog.text == ""  # seven may agree by chance
