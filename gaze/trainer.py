"""The training loop. It knows nothing about gaze: that lives in model, objective, metrics and dataset."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from gaze.callbacks.callback import Callback
from gaze.datasets.dataset import Dataset
from gaze.errors import UserError
from gaze.evaluation import evaluate
from gaze.freezing import train_mode
from gaze.guard import Guard
from gaze.hardware import Hardware
from gaze.loading import BatchPlan, Views, release
from gaze.losses.objective import Objective
from gaze.replicas import AGREE_EVERY
from gaze.scaler import Scaler
from gaze.schedules import Schedule
from gaze.sharding import laid_out_like, whole
from gaze.signals import Interrupted, StopFlag, stop_signals
from gaze.types import Batch, Progress

if TYPE_CHECKING:
    from gaze.runs import Run


MODES = ("minimize", "maximize", "last")


class Trainer:
    """One run: a model, what it is trained on and towards, and the state of its training.

    Args:
        run: the directory of the run; its last checkpoint, if any, is continued.
        hardware: places batches, prepares the model, knows the replicas.
        seed: decides the order of samples, every augmentation and everything the model draws.
        model: on the device already.
        objective, metrics: what is minimised, what is reported.
        optimizer: over the parameters of `model`; each group holds base_lr (and base_weight_decay).
        schedule: option of the optimizer -> multiplier of its base value.
        train_set, val_set: where samples come from.
        callbacks: in the order in which their hooks are called, but for those that come `last`.
        epochs: passes over `train_set`.
        batch_size: samples per replica and forward pass; `val_batch_size` for validation.
        accumulate: forward passes per step.
        effective_batch_size: samples per step of all replicas together, from which `accumulate` follows; None: it
            follows from `accumulate`.
        lr_batch_size: samples per step that the learning rates are meant for; with more or fewer they grow or shrink
            in proportion (Goyal et al. 2017). None: they are what they are.
        clip_norm: largest norm of all gradients together; None does not clip.
        amp: run the model in the hardware's lower number format.
        monitor: the figure that decides what is best; `mode`: "minimize" or "maximize" it. "last" takes the newest
            weights instead, for protocols whose number of epochs is fixed beforehand; the figure is only reported.
        on_nonfinite: "raise" on a loss that is not finite, or "skip" up to `max_skipped` such steps.

    Raises:
        ValueError: a setting contradicts another, or the monitored figure does not exist.
    """

    def __init__(
        self,
        *,
        run: Run,
        hardware: Hardware,
        seed: int,
        model: nn.Module,
        objective: Objective,
        metrics: Mapping[str, Metric],
        optimizer: Optimizer,
        schedule: Mapping[str, Schedule],
        train_set: Dataset,
        val_set: Dataset,
        callbacks: Mapping[str, Callback],
        epochs: int,
        batch_size: int,
        val_batch_size: int | None = None,
        accumulate: int = 1,
        effective_batch_size: int | None = None,
        lr_batch_size: int | None = None,
        clip_norm: float | None = None,
        amp: bool = False,
        monitor: str = "loss",
        mode: str = "minimize",
        on_nonfinite: str = "raise",
        max_skipped: int = 100,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"trainer.mode is {mode!r}; expected one of {', '.join(MODES)}")
        counts = {
            "epochs": epochs,
            "batch_size": batch_size,
            "val_batch_size": val_batch_size,
            "accumulate": accumulate,
            "effective_batch_size": effective_batch_size,
            "lr_batch_size": lr_batch_size,
        }
        for name, count in counts.items():
            if count is not None and count < 1:
                raise ValueError(f"trainer.{name} is {count}; expected 1 or more")
        if effective_batch_size is not None:
            accumulate = passes(effective_batch_size, batch_size * hardware.replicas, accumulate)
        self.run, self.hardware, self.seed = run, hardware, seed
        self.model, self.metrics = model, metrics
        self.callbacks = dict(sorted(callbacks.items(), key=lambda named: named[1].last))
        self.objective = objective.to(hardware.device)
        self.optimizer, self.schedule = optimizer, schedule
        self.train_set, self.val_set = train_set, val_set
        self.epochs, self.accumulate, self.clip_norm, self.amp = epochs, accumulate, clip_norm, amp
        self.monitor, self.mode = monitor, mode
        self.scaler = Scaler(hardware.device.type, dynamic=hardware.scaled(amp))
        self.guard = Guard(
            *(model, on_nonfinite, max_skipped, self.scaler.dynamic, hardware.device, run.last),
            least=hardware.least if hardware.replicas > 1 else None,
        )
        self.plan = BatchPlan(
            len(train_set), batch_size, accumulate, seed, hardware.rank, hardware.replicas, train_set.order
        )
        if lr_batch_size is not None:
            _scale_rates(optimizer, batch_size * accumulate * hardware.replicas / lr_batch_size)
        self.train_loader = hardware.loader(Views(train_set, seed, not hardware.augments), batch_sampler=self.plan)
        if len(val_set) < hardware.replicas:
            raise ValueError(
                f"the validation split has {len(val_set)} samples, fewer than the {hardware.replicas} replicas"
            )
        self.val_loader = hardware.loader(hardware.share(val_set), batch_size=val_batch_size or batch_size)
        self.progress = Progress(0, epochs * self.plan.steps, self.plan.steps)
        self.epoch = 0  # epochs trained and validated
        self.stop = self.improved = False
        self.flag = StopFlag()
        self.stopped_by = 0  # the signal that asked to stop
        self.best: dict[str, float] = {}
        self.eval_model = model  # what is validated: the EMA callback puts its average here
        self._check_schedule()
        self._check_monitor()
        self.prepare()

    # --- the loop ------------------------------------------------------------------------------

    def fit(self) -> dict[str, float]:
        """Train to the end of the schedule, or until a callback says stop; return the figures of the best epoch.

        Raises:
            Interrupted: a signal asked to stop; the state is saved.
            NonFiniteError: the loss was not finite.
        """
        with stop_signals() as self.flag, closing(self):
            self.start()
            while self.epoch < self.epochs and not self.stop:
                self.train_epoch()
                metrics = {} if self.stopped_by else self.validate()
                if self.stopped_by:
                    break
                self.epoch += 1
                self.improved = self._better(metrics)
                self.best = metrics if self.improved else self.best
                self.call("epoch_end", metrics)
            self.call("fit_end")
        if self.stopped_by:
            raise Interrupted(self.stopped_by)
        return self.best

    def start(self) -> None:
        """Continue the run's last checkpoint, if there is one, and let callbacks begin; `fit` calls it.

        Raises:
            ValueError: nothing trains, or a callback or a weight is not fit for it.
            UserError: the checkpoint is of another division into steps.
        """
        state = self.run.restore(self.model)
        if state:
            self.progress = self.progress._replace(step=state["step"])
            self.epoch, self.stop, self.best = state["epoch"], state["stop"], state["best"]
            self.guard.skipped = state["skipped"]
            self._check_plan(state["plan"])
            self._restore_optimizer(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
        for module in self.model.modules():  # with their weights by now, wherever they came from
            if (check_ready := getattr(module, "check_ready", None)) is not None:
                check_ready()
        self.guard.keep()
        for name, callback in self.callbacks.items():
            callback.fit_start(self)
            if name in state.get("callbacks", {}):
                callback.load_state_dict(state["callbacks"][name])
        self.guard.check(*self.models)
        if not any(p.requires_grad for p in self.model.parameters()):
            raise ValueError("nothing to train: every parameter of the model is frozen; see callback.unfreeze")

    def train_epoch(self) -> None:
        """Take the steps of this epoch that have not been taken yet."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[Progress]:
        """Take the steps of this epoch that have not been taken yet, one whenever the next is asked for."""
        self.plan.epoch, self.plan.start = self.epoch, self.progress.step - self.epoch * self.plan.steps
        self.call("epoch_start")
        train_mode(self.net)
        self.objective.train()
        batches = iter(self.train_loader)
        for _ in range(self.plan.start, self.plan.steps):
            terms = self.train_step(list(itertools.islice(batches, self.accumulate)))
            self.progress = self.progress._replace(step=self.progress.step + 1)
            self.call("step_end", terms)
            yield self.progress
            if self.asked_to_stop():
                break
        self.guard.look()

    def train_step(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Update the weights once; return the loss, its terms and the gradient norm, on the device."""
        for group, (option, schedule) in itertools.product(self.optimizer.param_groups, self.schedule.items()):
            group[option] = group[f"base_{option}"] * schedule(self.progress)
        self.hardware.seed(self.seed, self.progress.step)
        logs: list[dict[str, Tensor]] = []
        for left, batch in zip(reversed(range(len(batches))), map(self._placed, batches), strict=True):
            with self.hardware.accumulating(self.net, more=left > 0):
                with self.hardware.autocast(self.amp), self.lowered:
                    prediction = self.net(batch.inputs)
                loss, terms = self.objective(prediction.float32(), batch, self.progress)
                self.scaler.backward(loss, len(batches))
                logs.append(terms)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.clip_norm:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip_norm, norm)
        norm = whole(norm)
        self.scaler.advance(self.optimizer, norm)
        self.optimizer.zero_grad(set_to_none=True)
        terms = logs[0]
        if len(logs) > 1:
            terms = {name: torch.stack([log[name] for log in logs]).mean() for name in terms}
        self.guard.watch(self.progress.step, terms, norm, [b.index for b in batches])
        return {**terms, "grad_norm": norm}

    def validate(self) -> dict[str, float]:
        """The figures of `eval_model` on the validation split."""
        now = self.progress._replace(step=max(self.progress.step - 1, 0))  # the epoch that has just ended
        self.hardware.share_buffers(self.eval_model)
        return evaluate(
            *(self.eval_model, self.val_loader, self.metrics, self.hardware, self.amp, self.objective, now),
            stop=self._asked_between(),
        )

    def _placed(self, batch: Batch) -> Batch:
        """A batch on the device, with what is left of its augmentation done."""
        return self.train_set.finished(self.hardware.place(batch), batch.later)

    def _asked_between(self) -> Callable[[], bool]:
        """Has a signal reached any replica? To be asked after each batch of validation."""
        if self.hardware.replicas == 1:
            return self.asked_to_stop
        size = self.val_loader.batch_size or 1
        every = -(-(len(self.val_set) // self.hardware.replicas) // size)  # batches that every replica has
        batches = itertools.count(1)

        def asked() -> bool:
            done = next(batches)
            if done <= every and done % AGREE_EVERY == 0:
                self.stopped_by = self.hardware.agree(self.flag.signum)
            return bool(self.stopped_by)

        return asked

    # --- around it -----------------------------------------------------------------------------

    @property
    def models(self) -> tuple[nn.Module, ...]:
        """What is trained, and what is validated where that is another one."""
        return (self.model,) if self.eval_model is self.model else (self.model, self.eval_model)

    def figures(self) -> list[str]:
        """Names of the figures that validation gives."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # computing before any update is what we mean to do
            return ["loss", *self.objective.terms, *(k for m in self.metrics.values() for k in m.compute())]

    def prepare(self) -> None:
        """Wrap the model for training; again after parameters were frozen or thawed."""
        self.net = self.hardware.prepare(self.model)
        self.lowered = self.hardware.lowered(self.model, self.amp)
        self.parameters = list(self.model.parameters())  # walking through a model takes longer than its small steps

    def close(self) -> None:
        """End the loaders' workers."""
        release(self.train_loader)
        release(self.val_loader)

    def call(self, hook: str, *args: Any) -> None:
        """Call one hook of every callback, in order."""
        for callback in self.callbacks.values():
            getattr(callback, hook)(self, *args)

    def asked_to_stop(self) -> bool:
        """Has a signal reached any replica? Several replicas find out together, every few steps."""
        alone = self.hardware.replicas == 1
        if alone or self.progress.step % AGREE_EVERY == 0:
            self.stopped_by = self.hardware.agree(self.flag.signum)
        return bool(self.stopped_by)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights that a resumed run needs. No random state: that is a function of the step."""
        return {
            "step": self.progress.step,
            "epoch": self.epoch,
            "stop": self.stop,
            "best": self.best,
            "skipped": self.guard.skipped,
            "plan": self._plan(),
            "journal": self.run.journal.size(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "callbacks": {name: callback.state_dict() for name, callback in self.callbacks.items()},
        }

    def _plan(self) -> dict[str, int]:
        plan = self.plan
        return {"samples": plan.samples, "samples per step": plan.batch_size * plan.accumulate * plan.replicas}

    def _check_plan(self, before: Mapping[str, int]) -> None:
        changes = [f"{name} {before[name]} -> {now}" for name, now in self._plan().items() if before[name] != now]
        if changes:
            raise UserError(
                f"{self.run.path} was interrupted with another division into steps: {', '.join(changes)}. Go on with the "
                "same data and the same product of batch_size, accumulate and replicas"
            )

    def _restore_optimizer(self, state: dict[str, Any]) -> None:
        # What a schedule sets at every step is left as it was; the base it multiplies is asked for anew.
        left = {"params", *self.schedule}
        asked = [{k: v for k, v in group.items() if k not in left} for group in self.optimizer.param_groups]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for number, kept in state["state"].items():  # of each parameter; it may be divided now and was not, or not so
            kept |= {k: laid_out_like(v, parameters[number]) for k, v in kept.items() if isinstance(v, Tensor)}
        self.optimizer.load_state_dict(state)
        for group, options in zip(self.optimizer.param_groups, asked, strict=True):
            group.update(options)  # the config decides, which the run directory has checked or allowed to change

    def _better(self, metrics: Mapping[str, float]) -> bool:
        now, best = metrics[self.monitor], self.best.get(self.monitor, float("nan"))
        if self.mode == "last":
            return True
        if now != now:  # NaN is never an improvement, unless there is nothing else
            return not self.best
        return best != best or (now < best if self.mode == "minimize" else now > best)

    def _check_schedule(self) -> None:
        options = [key.removeprefix("base_") for key in self.optimizer.param_groups[0] if key.startswith("base_")]
        for option in self.schedule:
            if option not in options:
                raise ValueError(f"schedule.{option}: the optimizer has no such option; expected {', '.join(options)}")

    def _check_monitor(self) -> None:
        if self.monitor not in (figures := self.figures()):
            raise ValueError(
                f"trainer.monitor is {self.monitor!r}, which no metric computes; there are {', '.join(figures)}"
            )


def passes(samples: int, at_once: int, accumulate: int) -> int:
    """Forward passes of `at_once` samples that make a step of `samples`.

    Raises:
        ValueError: they don't divide it, or `accumulate` says something else.
    """
    if samples % at_once or accumulate not in (1, samples // at_once):
        raise ValueError(
            f"trainer.effective_batch_size is {samples}, with {at_once} samples at once (batch_size x replicas) and "
            f"accumulate {accumulate}; expected a multiple of {at_once}, and accumulate left at 1"
        )
    return samples // at_once


def _scale_rates(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] *= factor
        group["base_lr"] *= factor
