"""Memory that a training step takes on its device, counted without that device.

What stands still is weights, gradients and the optimizer's state, counted exactly. What moves, the tensors of the
forward and the backward pass, is counted operation by operation while one step runs: with fake tensors, which have
shapes and no values, or where a model looks at values, with a few real ones on the CPU. Two sizes of batch give the rest.
"""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gaze.callbacks.ema import EMA
from gaze.callbacks.freeze import Freeze
from gaze.callbacks.unfreeze import Unfreeze
from gaze.doctor.case import Case
from gaze.doctor.tensors import held, tensors
from gaze.doctor.weights import to_be_fetched
from gaze.freezing import train_mode
from gaze.hardware import NUMBER_FORMATS
from gaze.losses.objective import Objective
from gaze.lowered import Lowered
from gaze.recomputing import recompute
from gaze.runs import build, chosen
from gaze.types import Batch, Progress, collate

MOST_SAMPLES = 64  # in a batch of fake tensors, whose pictures are put together before they become fake
PROBE = 4096  # elements of a parameter that shows how much an optimizer remembers of each


class Footprint(NamedTuple):
    """Bytes on the device, by what they are for."""

    weights: int  # parameters and buffers of the model, its average and what the loss holds; copies that were cast once
    gradients: int
    optimizer: int
    fixed: float  # of a step, whatever the batch
    per_sample: float  # of a step: batch, activations and their gradients
    how: str  # fake or real: what was run

    @property
    def still(self) -> int:
        """What is there between two steps, but for gradients."""
        return self.weights + self.optimizer

    def peak(self, batch_size: int) -> float:
        """The most at any time of a step. Optimizers on CUDA work on all weights at once, which takes one more copy."""
        return self.still + max(self.fixed + self.per_sample * batch_size, 2 * self.gradients)

    def fits(self, memory: float) -> int:
        """The largest batch for that many bytes; 0: not even one sample."""
        if self.peak(1) > memory:
            return 0
        return int((memory - self.still - self.fixed) / max(self.per_sample, 1.0))


class Moved(NamedTuple):
    """Bytes of what one step makes."""

    peak: int
    saved: int  # after the forward pass


class TooSlow(RuntimeError):
    """The step took longer than it may."""


class Live(TorchDispatchMode):
    """Counts the bytes of all storages that operations make inside it, from when they are made until they are freed.

    Args:
        deadline: of `time.monotonic`, after which it stops what runs inside.
    """

    def __init__(self, deadline: float = float("inf")) -> None:
        super().__init__()
        self.deadline = deadline
        self.now = self.peak = 0
        self.known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage(), given)
        if time.monotonic() > self.deadline:
            raise TooSlow("the step takes too long")
        return out

    def _see(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key = storage._cdata
        if key in self.known or key in given:
            return
        count = storage.nbytes()
        self.known[key] = count
        self.now += count
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self.known.pop(key, 0)


def footprint(case: Case, seconds: float = 20.0) -> Footprint:
    """The footprint of the config's training step, at the time when most of the model trains.

    Raises:
        TooSlow: it could not be found out in `seconds`.
        ValueError: there is no model or no sample to run, or the loss needs a file that is not here.
    """
    if case.model is None or case.config is None or not case.examples:
        raise ValueError("there is no model, or no sample of its data")
    deadline = time.monotonic() + seconds
    model = forgetful(case.model, case)
    if absent := to_be_fetched(case, "loss"):
        raise ValueError(f"{', '.join(absent)} would have to be downloaded first")
    objective = Objective(chosen(case.config, "loss")).train()
    amp = NUMBER_FORMATS[case.value("hardware.amp_dtype", "bfloat16")] if case.value("trainer.amp") else None
    progress = late(case, len(case.splits["train"]))
    try:
        batch = min(int(case.value("trainer.batch_size", 1)), MOST_SAMPLES)
        counts, how = (batch, 2 * batch), "fake"
        peaks = [fake_step(model, objective, case.examples, n, amp, progress, deadline) for n in counts]
    except TooSlow:
        raise
    except Exception:  # a model or loss that looks at values
        counts, how = (1, 2), "real"
        peaks = [real_step(model, objective, case.examples, n, amp, progress, deadline) for n in counts]
    # In small batches the peak is where large weights get their gradient; what forward leaves then says more.
    slopes = [(b - a) / (counts[1] - counts[0]) for a, b in zip(*peaks, strict=True)]
    per_sample = max(*slopes, 0.0)
    fixed = max(moved.peak - per_sample * count for moved, count in zip(peaks, counts, strict=True))
    weights = held([model, objective]) + averaged(model, case) + lowered_bytes(model, objective, case)
    gradients = trainable_bytes(model)
    return Footprint(weights, gradients, optimizer_bytes(model, case), fixed, per_sample, how)


def fake_step(
    model: nn.Module,
    objective: nn.Module,
    samples: Sequence[Batch],
    count: int,
    amp: torch.dtype | None,
    progress: Progress,
    deadline: float = float("inf"),
) -> Moved:
    """What a step with `count` samples holds beside weights, without computing it."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with FakeCopyMode(mode):
        model, objective = copy.deepcopy(model), copy.deepcopy(objective)
    batch = collate([samples[i % len(samples)] for i in range(count)]).map(mode.from_tensor)
    with mode:
        return _step(model, objective, batch, amp, progress, deadline)


def real_step(
    model: nn.Module,
    objective: nn.Module,
    samples: Sequence[Batch],
    count: int,
    amp: torch.dtype | None,
    progress: Progress,
    deadline: float = float("inf"),
) -> Moved:
    """The same of a step that is computed, on the CPU."""
    batch = collate([samples[i % len(samples)] for i in range(count)])
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        return _step(model, objective, batch, amp, progress, deadline)
    finally:
        for name, buffer in model.named_buffers():
            buffer.data.copy_(buffers[name])


def _step(
    model: nn.Module,
    objective: nn.Module,
    batch: Batch,
    amp: torch.dtype | None,
    progress: Progress,
    deadline: float,
) -> Moved:
    train_mode(model)
    inputs = sum(tensor.nbytes for tensor in tensors(batch))
    with Live(deadline) as live:
        placed = batch.map(lambda t: t.float().div_(255) if t.dtype == torch.uint8 else t)
        with torch.autocast("cpu", dtype=amp or torch.bfloat16, enabled=amp is not None):
            prediction = model(placed.inputs)
        loss, _ = objective(prediction.float32(), placed, progress)
        del prediction
        saved = live.now
        loss.backward()
        for parameter in model.parameters():
            parameter.grad = None
    return Moved(live.peak + inputs, saved + inputs)


def thawed(model: nn.Module, case: Case) -> nn.Module:
    """The model with all parts trainable that ever train in the run, as its callbacks freeze and thaw them."""
    if case.config is None:
        return model
    epochs = int(case.value("trainer.epochs", 1))
    trainer: Any = SimpleNamespace(model=model, epochs=epochs, epoch=epochs - 1, prepare=lambda: None)
    for callback in chosen(case.config, "callback").values():
        if isinstance(callback, (Freeze, Unfreeze)):
            callback.fit_start(trainer)
    return model


def forgetful(model: nn.Module, case: Case) -> nn.Module:
    """The thawed model whose modules forget their activations as the run's will: a copy but for weights and buffers.

    Raises:
        ValueError: a glob of `hardware.checkpoint_activations` names what can't.
    """
    model = thawed(model, case)
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    globs = case.value("hardware.checkpoint_activations", [])
    compiled = case.value("hardware.compile") is not None
    return recompute(copy.deepcopy(model, shared), [globs] if isinstance(globs, str) else globs, compiled)


def averaged(model: nn.Module, case: Case) -> int:
    """Bytes of averages of the weights."""
    assert case.config is not None
    averages = sum(isinstance(callback, EMA) for callback in chosen(case.config, "callback").values())
    never = [
        module for module in model.modules() if getattr(module, "never_trains", False)
    ]  # model and average share it
    return averages * (held([model]) - held(never))


def lowered_bytes(model: nn.Module, objective: nn.Module, case: Case) -> int:
    """Bytes of copies in the lower number format: of all frozen weights of products, and of teachers that run in it.

    Those with which the model is evaluated are not there while it trains.
    """
    kept: list[nn.Module] = [
        found.model for part in objective.modules() if isinstance(found := getattr(part, "lowered", None), Lowered)
    ]
    plain = case.value("hardware.frozen_dtype", "amp") != "amp" or case.value("hardware.compile", None)
    if case.value("trainer.amp") and not plain and not case.value("hardware.shard", False):
        kept.append(model)
    weights = {id(p): p for part in kept for p in part.parameters() if not p.requires_grad and p.dim() > 1}
    return sum(2 * weight.numel() for weight in weights.values() if weight.dtype == torch.float32)


def trainable_bytes(model: nn.Module) -> int:
    """Bytes of all parameters that get a gradient."""
    return sum(p.nbytes for p in model.parameters() if p.requires_grad)


def optimizer_bytes(model: nn.Module, case: Case) -> int:
    """Bytes of what the optimizer of the config remembers of the parameters that train: tried on a small one each."""
    assert case.config is not None
    optimizer = build(case.config.optimizer)(model=model)
    return sum(
        int(remembered(type(optimizer), group) * sum(p.nbytes for p in group["params"] if p.requires_grad))
        for group in optimizer.param_groups
    )


def remembered(kind: type[torch.optim.Optimizer], group: Mapping[str, Any]) -> float:
    """Bytes that an optimizer keeps for each byte of a parameter."""
    rows = PROBE // 64
    probe = nn.Parameter(torch.zeros(rows, PROBE // rows))
    probe.grad = torch.ones_like(probe)
    optimizer = kind([{**group, "params": [probe]}])  # type: ignore[call-arg]
    optimizer.step()
    kept = [value for value in optimizer.state[probe].values() if isinstance(value, Tensor) and value.dim()]
    return sum(value.nbytes for value in kept) / probe.nbytes


def late(case: Case, samples: int) -> Progress:
    """The last step of the run, when every term of the loss that ever has a weight is likely to have one."""
    per_epoch = max(samples // int(case.value("trainer.batch_size", 1)), 1)
    steps = per_epoch * int(case.value("trainer.epochs", 1))
    return Progress(steps - 1, steps, per_epoch)
