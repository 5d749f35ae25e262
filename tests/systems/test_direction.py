"""A frozen tower beside a trainable one, and a loss from inside the model."""

from __future__ import annotations

import pytest
import torch

from gaze.callbacks.callback import Callback

PLAIN = ("model=direction_stub", "optimizer.optimizer.weight_decay=0.0")


class Modes(Callback):
    """Collects which towers were in training mode after each step."""

    def __init__(self) -> None:
        self.frozen: list[bool] = []
        self.trainable: list[bool] = []

    def step_end(self, trainer, terms):
        self.frozen.append(any(m.training for m in trainer.model.frozen.modules()))
        self.trainable.append(all(m.training for m in trainer.model.tower.modules()))


@pytest.mark.parametrize("amp", [False, True])
def test_the_frozen_tower_stays_as_it_was_while_the_other_learns(train, tmp_path, amp):
    run = train(tmp_path, *PLAIN, f"trainer.amp={amp}".lower())
    assert run.moved == {name for name in run.weights if not name.startswith("frozen.")}
    assert any(name.endswith("running_mean") for name in run.moved)
    assert {name for name in run.saved if name.startswith("frozen.")}  # a run is complete without its ingredients


def test_the_frozen_tower_is_in_eval_mode_at_every_step_also_after_validation(train, tmp_path, monkeypatch):
    modes = Modes()
    monkeypatch.setattr("gaze.callbacks.log.Log.step_end", lambda self, *args: modes.step_end(*args))
    train(tmp_path, *PLAIN, "trainer.epochs=2")
    assert modes.frozen == [False] * 6
    assert modes.trainable == [True] * 6


def test_the_model_s_own_loss_is_logged_by_name_and_counted(train, tmp_path):
    run = train(tmp_path, *PLAIN, "callback.log.every_steps=1")
    balance, direction, loss = (run.journal(f"train/{name}") for name in ("balance", "direction", "loss"))
    assert sorted(balance) == [1, 2, 3]
    for step in balance:
        assert balance[step] >= 1.0
        assert loss[step] == pytest.approx(direction[step] + 0.1 * balance[step], rel=1e-5)
    assert run.journal("val/balance")


def test_the_model_s_own_loss_has_gradients_of_its_own(train, tmp_path):
    run = train(tmp_path, *PLAIN, "loss.direction.weight=0")
    parts = {name.split(".")[0] for name in run.moved}
    assert "gate" in parts
    assert not parts & {"experts", "frozen"}
    assert not run.journal("val/direction")  # a term of weight 0 is not computed


def test_it_continues_exactly(continues):
    whole, rest = continues(4, *PLAIN, "trainer.epochs=2")
    assert whole.journal("val/balance") == rest.journal("val/balance")
    for state, other in zip(whole.trainer.optimizer.state.values(), rest.trainer.optimizer.state.values(), strict=True):
        assert torch.equal(state["exp_avg"], other["exp_avg"])
