"""Pruning and costs, from a trainer that only counts epochs."""

from __future__ import annotations

from types import SimpleNamespace

import optuna
import pytest
import torch
from torch import nn

from gaze.callbacks.costs import Costs
from gaze.errors import UserError
from gaze.journal import Journal
from gaze.sweeps.reporting import Reporting
from gaze.sweeps.studies import PRUNED, SweepError, open_storage, open_study
from gaze.sweeps.trials import check_objectives, returned, trial_of

MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2, "n_warmup_steps": 2}
HALVING = {"_target_": "optuna.pruners.SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 2}
EPOCHS = 4


@pytest.fixture
def study(tmp_path):
    """Two trials that went well, with 0.5 and 0.6 at each epoch, and one that is under way."""
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", make=True)
    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    made = optuna.create_study(study_name="toy", storage=storage, pruner=halving)
    for figure in (0.5, 0.6):
        trial = made.ask()
        for epoch in range(1, EPOCHS + 1):
            trial.report(figure, epoch)
            trial.should_prune()  # its rung is written down here
        made.tell(trial, figure)
    made.ask()
    return made


def trained(tmp_path, figures, pruner, state=None, first=1):
    """The callback and its trainer after epochs with these figures, the first of which is number `first`."""
    url = f"sqlite:///{tmp_path}/study.db"
    callback = Reporting(lambda: trial_of(url, "toy", 2, pruner))
    trainer = SimpleNamespace(
        hardware=SimpleNamespace(main=True, agree=lambda flag: flag),
        run=SimpleNamespace(journal=Journal(tmp_path)),
        progress=SimpleNamespace(step=0),
        monitor="loss",
        epochs=EPOCHS,
        epoch=first - 1,
        stop=False,
    )
    callback.fit_start(trainer)
    callback.load_state_dict(state or callback.state_dict())
    for figure in figures:
        trainer.epoch, trainer.progress.step = trainer.epoch + 1, trainer.progress.step + 10
        callback.epoch_end(trainer, {"loss": figure})
        if trainer.stop:
            break
    callback.fit_end(trainer)
    return callback, trainer


def reported(study):
    return study.trials[2].intermediate_values


@pytest.mark.parametrize(
    ("pruner", "figures", "epoch"),
    [
        (MEDIAN, [0.9, 0.8, 0.7, 0.1], 2),  # the first epoch prunes nothing; 0.8 is worse than the median of 0.55
        (MEDIAN, [0.9, 0.5, 0.9, 0.9], None),  # the best so far counts
        (HALVING, [0.9, 0.9, 0.9, 0.9], 1),
        (HALVING, [0.1, 0.1, 0.1, 0.1], None),
        ({"_target_": "optuna.pruners.NopPruner"}, [9.0, 9.0, 9.0, 9.0], None),
    ],
)
def test_a_hopeless_trial_ends_at_its_epoch(tmp_path, study, pruner, figures, epoch):
    callback, trainer = trained(tmp_path, figures, pruner)
    assert trainer.stop == callback.pruned == (epoch is not None)
    assert list(reported(study)) == list(range(1, (epoch or EPOCHS) + 1))
    assert study.trials[2].user_attrs.get(PRUNED) == epoch
    marks = [entry.values["val/pruned"] for entry in Journal(tmp_path).read()]
    assert marks == ([] if epoch is None else [float(epoch)])


def test_the_last_epoch_makes_a_trial_complete(tmp_path, study):
    _, trainer = trained(tmp_path, [0.9], MEDIAN, first=EPOCHS)
    assert not trainer.stop
    assert PRUNED not in study.trials[2].user_attrs


def test_a_resumed_trial_reports_no_epoch_twice(tmp_path, study, recwarn):
    trained(tmp_path, [0.5, 0.5], MEDIAN)
    trained(tmp_path, [0.4, 0.45], MEDIAN, first=2)
    assert reported(study) == {1: 0.5, 2: 0.5, 3: 0.45}
    assert not [w for w in recwarn if "already reported" in str(w.message)]


def test_a_pruned_trial_that_is_resumed_stays_pruned(tmp_path, study):
    callback, _ = trained(tmp_path, [0.9, 0.8], MEDIAN)
    again, _ = trained(tmp_path, [], MEDIAN, state=callback.state_dict(), first=3)
    assert again.pruned
    assert study.trials[2].user_attrs[PRUNED] == 2


def test_a_database_that_is_away_prunes_nothing_and_stops_nothing(tmp_path, caplog):
    _, trainer = trained(tmp_path, [0.9, 0.8], MEDIAN)
    assert not trainer.stop
    assert "the search's study cannot be reached" in caplog.text


def test_costs_are_measured_once_training_has_ended(tmp_path):
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1000, 500))
            self.calls = 0

        def forward(self, inputs):
            self.calls += 1

    class Sample:
        inputs = None

        @staticmethod
        def collate(samples):
            return Sample

    model = Slow()
    trainer = SimpleNamespace(
        hardware=SimpleNamespace(main=True, device=torch.device("cpu"), place=lambda batch: batch),
        run=SimpleNamespace(journal=Journal(tmp_path)),
        progress=SimpleNamespace(step=7),
        eval_model=model,
        val_set=[Sample],
        best={"loss": 1.0},
        stopped_by=15,
    )
    Costs(passes=8).fit_end(trainer)
    assert trainer.best == {"loss": 1.0}, "a run that is stopped ends at once"
    trainer.stopped_by = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gaze.callbacks.costs.collate", lambda samples: samples[0])
        Costs(passes=8, seconds=0).fit_end(trainer)
    assert trainer.best["parameters_m"] == 0.5
    assert 0 < trainer.best["latency_ms"] < 1000
    assert model.calls == 10
    (entry,) = Journal(tmp_path).read()
    assert set(entry.values) == {"val/latency_ms", "val/parameters_m"}


def test_objectives_are_figures_or_costs():
    trainer = SimpleNamespace(figures=lambda: ["loss", "error_cm"])
    check_objectives(None, trainer)
    check_objectives(["error_cm", "latency_ms"], trainer)
    with pytest.raises(
        UserError, match="no metric computes eror_cm; there are loss, error_cm, latency_ms, parameters_m"
    ):
        check_objectives(["eror_cm"], trainer)
    best = {"loss": 1.0, "error_cm": 2.0, "latency_ms": 3.0}
    assert returned(best, "loss", None) == 1.0
    assert returned(best, "loss", ["error_cm", "latency_ms"]) == (2.0, 3.0)


def test_a_study_is_opened_or_the_others_are_named(tmp_path, study):
    url = f"sqlite:///{tmp_path}/study.db"
    assert len(open_study(url, "toy").trials) == 3
    with pytest.raises(SweepError, match="has no study 'other'; it has toy"):
        open_study(url, "other")
    with pytest.raises(SweepError, match="gone.db does not exist; run its sweep first"):
        open_study(f"sqlite:///{tmp_path}/gone.db", "toy")
