"""Stopping a run that no longer gets enough better."""

import math
from types import SimpleNamespace

import pytest

from gaze.callbacks.early_stop import EarlyStop


def told(callback, figures, mode="minimize", state=None):
    """At which epoch, from 1, a run with these figures stops; None if it never does."""
    better = min if mode == "minimize" else max
    trainer = SimpleNamespace(mode=mode, monitor="loss", best={}, improved=False, stop=False)
    callback.fit_start(trainer)
    for epoch, figure in enumerate(figures, 1):
        best = trainer.best.get("loss")
        trainer.improved = best is None or (figure != best and better(figure, best) == figure)
        trainer.best = {"loss": figure} if trainer.improved else trainer.best
        callback.epoch_end(trainer, {"loss": figure})
        if trainer.stop:
            return epoch
    return None


@pytest.mark.parametrize("mode", ["minimize", "maximize"])
def test_too_small_a_gain_does_not_count(mode):
    sign = 1 if mode == "minimize" else -1
    creeping = [sign * (1 - 0.01 * i) for i in range(8)]
    assert told(EarlyStop(3), creeping, mode) is None
    assert told(EarlyStop(3, min_delta=0.05), creeping, mode) == 4


def test_small_gains_add_up():
    creeping = [1 - 0.02 * i for i in range(12)]  # 0.06 in three epochs
    assert told(EarlyStop(3, min_delta=0.05), creeping) is None
    assert told(EarlyStop(2, min_delta=0.05), creeping) == 3


def test_a_figure_at_the_best_is_no_gain():
    assert told(EarlyStop(2), [0.5, 0.5, 0.5, 0.5]) == 3


def test_what_it_compares_with_survives_an_interruption():
    first = EarlyStop(5, min_delta=0.1)
    assert told(first, [1.0, 0.95, 0.93]) is None
    assert first.state_dict() == {"waited": 2, "mark": 1.0}
    second = EarlyStop(5, min_delta=0.1)
    second.fit_start(SimpleNamespace(mode="minimize", monitor="loss", best={"loss": 0.93}, stop=False))
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    second.load_state_dict({"waited": 2})  # of a run from before there were marks
    assert second.mark == 0.93


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"min_delta": -1.0}, {"min_delta": math.nan}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=f"early_stop.{next(iter(wrong))} is"):
        EarlyStop(**wrong)
