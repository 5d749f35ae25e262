"""The loop: what it promises, on the straight line."""

import ast
import inspect
import logging
import signal
from pathlib import Path

import pytest
import torch

import gaze.trainer
from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.early_stop import EarlyStop
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.callbacks.unfreeze import Unfreeze
from gaze.errors import UserError
from gaze.guard import NonFiniteError
from gaze.hardware import Hardware
from gaze.journal import best
from gaze.losses.objective import Objective
from gaze.optimizers import grouped
from gaze.schedules import Constant, Step
from gaze.signals import Interrupted
from tests.stubs.line import Line, Net, Squared
from tests.stubs.training import line_trainer


def weights(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.state_dict().values()])


class StopAt(Callback):
    """Sends this process a signal after a step."""

    def __init__(self, step, signum=signal.SIGTERM):
        self.step, self.signum = step, signum

    def step_end(self, trainer, terms):
        if trainer.progress.step == self.step:
            signal.raise_signal(self.signum)


def everything(stop=None):
    """Callbacks whose state an interruption could spoil."""
    return {
        "unfreeze": Unfreeze(first=1, hold_epochs=1, every_epochs=1),
        "ema": EMA(decay=0.9),
        "log": Log(every_steps=4),
        "early_stop": EarlyStop(patience=50),
        **({"stop": stop} if stop else {}),
        "checkpoint": Checkpoint(every_steps=None, every_minutes=None),
    }


class Asked(Squared):
    """Remembers whether it was asked in training."""

    def __init__(self):
        super().__init__()
        self.modes = []

    def forward(self, prediction, batch, progress):
        assert self.training == torch.is_grad_enabled()
        self.modes.append(self.training)
        return super().forward(prediction, batch, progress)


def test_a_term_knows_training_from_validation_in_every_epoch(tmp_path):
    term = Asked()
    trainer = line_trainer(tmp_path, epochs=2, objective=Objective({"squared": term}))
    trainer.fit()
    epoch = [True] * trainer.plan.steps + [False] * len(trainer.val_loader)
    assert term.modes == 2 * epoch


def test_it_learns(tmp_path):
    trainer = line_trainer(tmp_path, {"log": Log()}, epochs=30, model=Net(dropout=0.0))
    before = trainer.validate()["mae"]
    assert trainer.fit()["mae"] < before / 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    trainer = line_trainer(tmp_path_factory.mktemp("whole"), everything())
    trainer.fit()
    return trainer


# A block opens after 6, where the reference cannot resume. Workers matter at an epoch's end and amid one.
@pytest.mark.fault("K2")
@pytest.mark.parametrize(("workers", "step"), [(0, 1), (0, 6), (0, 9), (0, 12), (0, 23), (2, 6), (2, 9)])
def test_a_stop_at_any_step_changes_nothing_in_the_end(tmp_path, whole, step, workers):
    part = line_trainer(tmp_path / "part", everything(StopAt(step)), workers=workers)
    with pytest.raises(Interrupted) as stopped:
        part.fit()
    assert stopped.value.exit_code == 143
    assert part.progress.step == step
    rest = line_trainer(tmp_path / "part", everything(), workers=workers)
    rest.fit()
    assert torch.equal(weights(rest), weights(whole))
    assert rest.best == whole.best
    figures = [
        [{k: v for k, v in e.values.items() if "per_s" not in k} for e in t.run.journal.read()] for t in (rest, whole)
    ]
    assert figures[0] == figures[1]


def test_the_checkpoint_comes_last_wherever_it_stands(tmp_path):
    trainer = line_trainer(tmp_path, {"checkpoint": Checkpoint(), "log": Log(), "ema": EMA()})
    assert list(trainer.callbacks) == ["log", "ema", "checkpoint"]


@pytest.mark.fault("O1")
def test_accumulation_equals_the_larger_batch(tmp_path):
    model = Net(dropout=0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval().requires_grad_(False)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    ends = []
    for batch_size, accumulate in ((8, 1), (4, 2), (2, 4)):
        model.load_state_dict(start)
        division = {"batch_size": batch_size, "accumulate": accumulate}
        line_trainer(tmp_path / str(accumulate), {"log": Log()}, model=model, epochs=2, **division).fit()
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]).clone())
    assert torch.allclose(ends[0], ends[1], atol=1e-6)
    assert torch.allclose(ends[0], ends[2], atol=1e-6)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = line_trainer(tmp_path)
    best = first.fit()
    again = line_trainer(tmp_path)
    assert again.fit() == best
    assert again.progress.step == first.progress.step


@pytest.mark.fault("N1")
def test_a_loss_that_is_not_finite_names_step_term_and_samples_and_spares_the_weights(tmp_path):
    trainer = line_trainer(tmp_path, objective=Objective({"squared": Squared(break_at=7)}))
    with pytest.raises(
        NonFiniteError, match=r"step 7: loss = nan, squared = nan.*samples \[\d+, .*lower learning rate"
    ):
        trainer.fit()
    clean = line_trainer(tmp_path / "clean", everything(StopAt(7)) | {})
    clean.callbacks.pop("unfreeze"), clean.callbacks.pop("ema")
    with pytest.raises(Interrupted):
        clean.fit()
    assert torch.equal(
        torch.cat([p.detach().flatten() for p in trainer.model.parameters()]),
        torch.cat([p.detach().flatten() for p in clean.model.parameters()]),
    )


@pytest.mark.fault("N1")
@pytest.mark.fault("N2")
def test_bad_steps_are_skipped_counted_and_bounded(tmp_path, caplog):
    objective = Objective({"squared": Squared(break_at=7)})
    with caplog.at_level(logging.WARNING):
        trainer = line_trainer(tmp_path / "a", objective=objective, on_nonfinite="skip")
        trainer.fit()
    assert trainer.guard.skipped == 1
    assert "update skipped (1 of at most 100)" in caplog.text
    assert torch.isfinite(weights(trainer)).all()
    with pytest.raises(NonFiniteError, match="1 bad steps, more than"):
        line_trainer(tmp_path / "b", objective=objective, on_nonfinite="skip", max_skipped=0).fit()


@pytest.mark.parametrize("amp_dtype", ["bfloat16", "float16"])
def test_mixed_precision_learns_and_losses_stay_float32(tmp_path, amp_dtype):
    seen = []

    class Spy(Squared):
        def forward(self, prediction, batch, progress):
            seen.append(prediction.x.dtype)
            return super().forward(prediction, batch, progress)

    hardware = Hardware(device="cpu", amp_dtype=amp_dtype, workers=0)
    objective = Objective({"squared": Spy()})
    trainer = line_trainer(tmp_path, {"log": Log()}, hardware=hardware, amp=True, epochs=12, objective=objective)
    before = trainer.validate()["mae"]
    assert trainer.fit()["mae"] < before
    assert set(seen) == {torch.float32}
    assert trainer.scaler.get_scale() == (1.0 if amp_dtype == "bfloat16" else pytest.approx(trainer.scaler.get_scale()))
    assert (trainer.scaler.get_scale() > 1) == (amp_dtype == "float16")


@pytest.mark.fault("N3")
def test_a_small_clip_norm_bounds_the_update(tmp_path):
    model = Net(dropout=0.0)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = grouped(model, lambda groups: torch.optim.SGD(groups, lr=1.0))
    trainer = line_trainer(
        tmp_path, model=model, optimizer=optimizer, clip_norm=1e-3, epochs=1, batch_size=48, schedule={"lr": Constant()}
    )
    trainer.fit()
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(model.parameters(), before, strict=True)]).norm()
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_schedules_multiply_the_base_of_every_group(tmp_path):
    model = Net()
    optimizer = grouped(model, lambda g: torch.optim.AdamW(g, lr=0.1, weight_decay=0.2), {"head.*": {"lr": 0.01}})
    half = Step(epochs=[1], values=[1.0, 0.5])
    trainer = line_trainer(
        tmp_path, model=model, optimizer=optimizer, schedule={"lr": half, "weight_decay": half}, epochs=2
    )
    trainer.fit()
    assert sorted((g["lr"], g["weight_decay"]) for g in optimizer.param_groups) == [(0.005, 0.1), (0.05, 0.1)]


def test_a_term_of_weight_zero_is_not_computed_and_may_switch_on_later(tmp_path):
    calls = []

    class Late(Squared):
        def forward(self, prediction, batch, progress):
            calls.append(progress.epoch)
            return super().forward(prediction, batch, progress)

    late = Late(weight=Step(epochs=[2], values=[0.0, 1.0]))
    trainer = line_trainer(tmp_path, objective=Objective({"squared": Squared(), "late": late}), epochs=3)
    trainer.fit()
    assert min(c for c in calls if c < 3) == 2
    assert sum("train/late" in e.values for e in trainer.run.journal.read()) == 2


def test_the_average_is_what_is_validated_and_called_best(tmp_path):
    trainer = line_trainer(tmp_path, {"ema": EMA(decay=0.95), "checkpoint": Checkpoint()}, epochs=3)
    trainer.fit()
    average = trainer.eval_model
    assert average is not trainer.model
    first = next(iter(average.parameters()))
    assert not torch.equal(first, next(iter(trainer.model.parameters())))
    fresh = Net()
    trainer.run.best.load(fresh)
    assert torch.equal(next(iter(fresh.parameters())), first)


def test_early_stop_waits_its_patience(tmp_path):
    callbacks = {"early_stop": EarlyStop(patience=2), "checkpoint": Checkpoint()}
    trainer = line_trainer(tmp_path, callbacks, epochs=30, lr=0.0)
    trainer.fit()
    assert trainer.epoch == 3  # the first is the best, two more do not improve on it
    again = line_trainer(tmp_path, {"early_stop": EarlyStop(patience=2), "checkpoint": Checkpoint()}, epochs=30, lr=0.0)
    again.fit()
    assert again.epoch == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"monitor": "min_l3"}, r"trainer\.monitor is 'min_l3'.*there are loss, squared, mae, seen"),
        ({"mode": "min"}, "expected one of minimize, maximize, last"),
        ({"on_nonfinite": "ignore"}, "expected raise or skip"),
        ({"batch_size": 49}, "lower trainer.batch_size"),
        (
            {"callbacks": {"unfreeze": Unfreeze(module="bakbone")}},
            r"no such module with blocks\(\); its modules: backbone, head",
        ),
    ],
)
def test_mistakes_are_found_before_the_first_step(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        line_trainer(tmp_path, **changes).fit()
    assert not (tmp_path / "last").exists()


def test_nothing_to_train_is_said(tmp_path):
    with pytest.raises(ValueError, match="every parameter of the model is frozen"):
        line_trainer(tmp_path, model=Net().requires_grad_(False)).fit()


def test_maximize_keeps_the_largest(tmp_path):
    trainer = line_trainer(tmp_path, mode="maximize", epochs=6)
    largest = trainer.fit()["mae"]
    assert largest == max(e.values["val/mae"] for e in trainer.run.journal.read() if "val/mae" in e.values)


def test_last_keeps_the_newest_whatever_its_figure(tmp_path, monkeypatch):
    trainer = line_trainer(tmp_path, mode="last", epochs=3)
    figures = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(trainer, "validate", lambda: {"mae": next(figures)})
    assert trainer.fit() == {"mae": 3.0}
    assert int(trainer.run.best.newest().name.split("-")[1]) == trainer.progress.step
    lines = [e for e in trainer.run.journal.read() if "val/mae" in e.values]
    assert best(lines, "val/mae", "last") == lines[-1] != best(lines, "val/mae", "minimize")


@pytest.mark.fault("K6")
def test_a_failed_save_does_not_end_training_but_a_failed_last_one_is_reported(tmp_path, monkeypatch, caplog):
    from gaze import checkpoints
    from gaze.checkpoints import CheckpointError

    real, failing = checkpoints.save_file, {"now": True}

    def save(*args, **kwargs):
        if failing["now"]:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(checkpoints, "save_file", save)

    class Heal(Callback):
        def step_end(self, trainer, terms):
            failing["now"] = trainer.progress.step < 9

    trainer = line_trainer(tmp_path / "healed", {"heal": Heal(), "checkpoint": Checkpoint(every_steps=1)})
    trainer.fit()
    assert "training goes on" in caplog.text
    assert trainer.run.last.steps()[-1] == trainer.progress.step
    failing["now"] = True
    with pytest.raises(CheckpointError, match="No space left"):
        line_trainer(tmp_path / "never", {"checkpoint": Checkpoint()}).fit()


def test_the_trainer_stays_small_and_knows_no_task():
    source = Path(gaze.trainer.__file__).read_text()
    imported = {n.module or "" for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import) for a in n.names}
    assert not [m for m in imported if m.split(".")[0] in ("hydra", "omegaconf", "mlflow")]
    assert not [m for m in imported if m.startswith(("gaze.models", "gaze.heads", "gaze.backbones", "gaze.geometry"))]
    trainer = gaze.trainer.Trainer
    loop = [trainer.fit, trainer.train_epoch, trainer.train_step, trainer.validate]
    assert sum(len(inspect.getsource(inspect.unwrap(f)).splitlines()) for f in loop) < 95


def test_line_is_split_in_disjoint_positions():
    assert not set(map(tuple, Line("train").x.tolist())) & set(map(tuple, Line("val").x.tolist()))


@pytest.mark.fault("K9")
def test_a_learning_rate_that_may_change_does(tmp_path):
    part = line_trainer(tmp_path, everything(StopAt(7)), lr=0.02)
    with pytest.raises(Interrupted):
        part.fit()
    rest = line_trainer(tmp_path, everything(), lr=0.5)
    rest.fit()
    assert {group["base_lr"] for group in rest.optimizer.param_groups} == {0.5}


@pytest.mark.fault("K9")
def test_another_division_into_steps_is_refused(tmp_path):
    part = line_trainer(tmp_path, everything(StopAt(7)))
    with pytest.raises(Interrupted):
        part.fit()
    with pytest.raises(UserError, match=r"samples 48 -> 40.*same data"):
        line_trainer(tmp_path, everything(), train_set=Line("train", samples=40)).fit()
    with pytest.raises(UserError, match=r"samples per step 8 -> 4"):
        line_trainer(tmp_path, everything(), batch_size=4).fit()
    line_trainer(tmp_path, everything(), batch_size=4, accumulate=2).fit()


class Poisoned(Line):
    """One sample is not a number."""

    def sample(self, index, generator):
        batch = super().sample(index, generator)
        return batch.map(lambda t: t * float("nan") if t.is_floating_point() else t) if index == 13 else batch


@pytest.mark.fault("N1")
@pytest.mark.fault("N4")
def test_a_poisoned_sample_spoils_neither_weights_nor_statistics_nor_the_average(tmp_path):
    callbacks = {"ema": EMA(), "log": Log(every_steps=3), "checkpoint": Checkpoint()}
    trainer = line_trainer(tmp_path, callbacks, train_set=Poisoned("train"), on_nonfinite="skip")
    trainer.fit()
    assert trainer.guard.skipped == trainer.epochs
    assert torch.isfinite(weights(trainer)).all()
    assert all(torch.isfinite(t).all() for t in trainer.eval_model.state_dict().values())
    assert all(v == v for e in trainer.run.journal.read() for k, v in e.values.items() if k != "train/grad_norm")


@pytest.mark.fault("N1")
def test_an_infinite_loss_with_finite_gradients_moves_nothing(tmp_path):
    class Infinite(Squared):
        def forward(self, prediction, batch, progress):
            return super().forward(prediction, batch, progress) + float("inf")

    trainer = line_trainer(tmp_path, objective=Objective({"squared": Infinite()}), on_nonfinite="skip", epochs=1)
    before = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    trainer.fit()
    assert torch.equal(before, torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))


def test_a_model_that_fails_on_a_part_of_validation_has_no_good_figure(tmp_path):
    trainer = line_trainer(tmp_path, val_set=Poisoned("val"))
    assert trainer.validate()["loss"] != trainer.validate()["loss"]


@pytest.mark.fault("N2")
def test_overflow_without_end_is_said(tmp_path):
    class Endless(Squared):
        def forward(self, prediction, batch, progress):
            return super().forward(prediction, batch, progress) + (prediction.x * 0).sqrt().sum() * 0.0

    hardware = Hardware(device="cpu", amp_dtype="float16", workers=0)
    with pytest.raises(NonFiniteError, match="overflowed float16 41 times in a row"):
        line_trainer(
            tmp_path, hardware=hardware, amp=True, epochs=20, objective=Objective({"squared": Endless()})
        ).fit()


def test_best_that_could_not_be_written_fails_the_run(tmp_path, monkeypatch):
    from gaze.checkpoints import CheckpointError, Checkpoints

    real = Checkpoints.save

    def save(self, step, model, state, omit=None):
        if self.directory.name == "best":
            raise CheckpointError("No space left")
        return real(self, step, model, state)

    monkeypatch.setattr(Checkpoints, "save", save)
    with pytest.raises(CheckpointError, match="No space left"):
        line_trainer(tmp_path).fit()


@pytest.mark.fault("K6")
def test_a_full_disk_delays_the_journal_and_ends_nothing(tmp_path, monkeypatch, caplog):
    from gaze.journal import Journal

    real, full = Journal.write, {"now": True}

    def write(self, step, values):
        if full["now"]:
            raise OSError(28, "No space left on device")
        real(self, step, values)

    monkeypatch.setattr(Journal, "write", write)

    class Heal(Callback):
        def step_end(self, trainer, terms):
            full["now"] = trainer.progress.step < 15

    callbacks = {"heal": Heal(), "log": Log(every_steps=3), "checkpoint": Checkpoint()}
    trainer = line_trainer(tmp_path, callbacks)
    trainer.fit()
    assert "could not write to the journal" in caplog.text
    assert [e.step for e in trainer.run.journal.read() if "train/loss" in e.values] == list(range(3, 25, 3))


@pytest.mark.fault("K2")
def test_a_signal_while_validating_is_heard_and_costs_nothing(tmp_path):
    class Stopping(Line):
        def sample(self, index, generator):
            if index == 8 and Stopping.armed:
                Stopping.armed = False
                signal.raise_signal(signal.SIGTERM)
            return super().sample(index, generator)

    Stopping.armed = True
    whole = line_trainer(tmp_path / "whole", everything())
    whole.fit()
    part = line_trainer(tmp_path / "part", everything(), val_set=Stopping("val", samples=17))
    with pytest.raises(Interrupted):
        part.fit()
    assert part.epoch == 0
    assert part.progress.step == part.plan.steps
    rest = line_trainer(tmp_path / "part", everything())
    rest.fit()
    assert torch.equal(weights(rest), weights(whole))
    assert rest.best == whole.best


def test_more_patience_lets_a_stopped_run_go_on(tmp_path):
    def callbacks(patience):
        return {"early_stop": EarlyStop(patience=patience), "checkpoint": Checkpoint()}

    line_trainer(tmp_path, callbacks(2), epochs=8, lr=0.0).fit()
    again = line_trainer(tmp_path, callbacks(50), epochs=8, lr=0.0)
    again.fit()
    assert again.epoch == 8


def test_a_schedule_of_what_the_optimizer_lacks_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"schedule\.momentum: the optimizer has no such option; expected lr, weight_decay"
    ):
        line_trainer(tmp_path, schedule={"momentum": Constant()})


@pytest.mark.parametrize(("batch_size", "passes"), [(8, 1), (4, 2), (2, 4)])
def test_a_step_of_so_many_samples_takes_the_passes_it_needs(tmp_path, batch_size, passes):
    trainer = line_trainer(tmp_path, batch_size=batch_size, effective_batch_size=8)
    assert trainer.accumulate == passes
    assert trainer.plan.steps == line_trainer(tmp_path / "plain", batch_size=8).plan.steps


@pytest.mark.parametrize(("effective", "accumulate"), [(7, 1), (8, 4), (2, 1)])
def test_passes_that_do_not_make_the_step_are_refused(tmp_path, effective, accumulate):
    with pytest.raises(ValueError, match=f"effective_batch_size is {effective}, with 4 samples at once"):
        line_trainer(tmp_path, batch_size=4, accumulate=accumulate, effective_batch_size=effective)


def test_learning_rates_grow_with_the_samples_of_a_step(tmp_path):
    trainer = line_trainer(tmp_path, batch_size=4, accumulate=2, lr_batch_size=4)
    plain = line_trainer(tmp_path / "plain", batch_size=4, accumulate=2)
    for group, before in zip(trainer.optimizer.param_groups, plain.optimizer.param_groups, strict=True):
        assert group["base_lr"] == 2 * before["base_lr"]
