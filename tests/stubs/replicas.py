"""What replicas do in the tests: train the straight line, thawing a block on the way, and say what came of it."""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gaze import sharded
from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.unfreeze import Unfreeze
from gaze.guard import NonFiniteError
from gaze.hardware import Hardware
from gaze.heads.code_attention import CodeAttention
from gaze.losses.objective import Objective
from gaze.replicas import ROLL_CALL, ReplicaError, check_same, on_all
from gaze.sharding import gathered, units
from gaze.trainer import Trainer
from tests.stubs.line import Net, Squared
from tests.stubs.training import line_trainer

CUT = 5  # the step at which an interrupted run ends: in the middle of the second epoch of three


class Cut(Exception):
    """The run was interrupted."""


class Interruption(Callback):
    """Ends training before the checkpoint of step `CUT` is written."""

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        if trainer.progress.step == CUT:
            raise Cut


def trainer_of(path: Path, hardware: Hardware, cut: bool = False, **changes: Any) -> Trainer:
    """Trains on 16 samples a step, however many replicas there are. Without batch norm and dropout, which know only
    their replica's samples."""
    torch.manual_seed(0)
    model = Net(dropout=0.0)
    for layer in model.backbone.layers:
        layer[0] = nn.Identity()
    callbacks: dict[str, Callback] = {
        "unfreeze": Unfreeze(first=1, hold_epochs=1, every_epochs=1),
        "ema": EMA(0.9),
        "checkpoint": Checkpoint(every_steps=1),
    }
    if cut:
        callbacks["interruption"] = Interruption()
    sizes = {"batch_size": 8 // hardware.replicas, "accumulate": 2, "epochs": 3, "clip_norm": 0.5}
    return line_trainer(path, callbacks, hardware=hardware, model=hardware.settle(model), **(sizes | changes))


def train(path: Path, hardware: Hardware, cut: bool = False, **changes: Any) -> dict[str, Any]:
    """Train, or go on with what is in `path`; the weights and their average in the end, and the best figures."""
    trainer = trainer_of(path, hardware, cut, **changes)
    try:
        validated = trainer.fit()
    except Cut:
        return {}
    facts: dict[str, Any] = {"validated": validated, "open": trainer.callbacks["unfreeze"].open}  # type: ignore[attr-defined]
    facts |= {name: flat(model) for name, model in (("weights", trainer.model), ("average", trainer.eval_model))}
    return facts | {
        "skipped": trainer.guard.skipped,
        "weights divided": sorted({type(p).__name__ for p in trainer.model.parameters()}),
    }


def flat(model: nn.Module) -> list[float]:
    """All weights one after the other."""
    return torch.cat([tensor.flatten() for tensor in gathered(model, keep=True).values()]).tolist()


class Collectives(TorchDispatchMode):
    """Counts what replicas send each other for gradients while inside."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func._schema.name.split("::")[-1]] += "c10d" in func._schema.name
        return func(*args, **(kwargs or {}))


def reductions(hardware: Hardware, path: Path, accumulate: int) -> int:
    """How often gradients are added up among the replicas in one step of several forward passes."""
    trainer = trainer_of(path, hardware, accumulate=accumulate, batch_size=2)
    trainer.plan.epoch = trainer.plan.start = 0
    batches = [batch for _, batch in zip(range(accumulate), trainer.train_loader, strict=False)]
    trainer.train_step(batches)  # DDP builds its buckets anew after the first
    with Collectives() as seen:
        trainer.train_step(batches)
    return sum(n for name, n in seen.counts.items() if "reduce_scatter" in name or name.startswith("allreduce"))


def everything(folder: Path) -> dict[str, Any]:
    """All that two replicas are asked in the tests."""
    plain = Hardware(device="cpu", distributed=True, workers=0, timeout_s=60)
    divided = Hardware(device="cpu", distributed=True, workers=0, timeout_s=60, shard=True, shard_units=50)
    kinds = {"ddp": plain, "fsdp": divided}
    found: dict[str, Any] = {}
    for name, hardware in kinds.items():
        found[name] = train(folder / name, hardware)
        train(folder / f"{name}-cut", hardware, cut=True)
    for before in ("one", "ddp", "fsdp"):
        for name, hardware in kinds.items():
            copied = folder / f"{before}-{name}"
            if hardware.main:
                shutil.copytree(folder / f"{before}-cut", copied)
            hardware.barrier()
            found[copied.name] = train(copied, hardware)
    broken = Squared(break_at=4 if divided.rank == 1 else -1)  # on one of them
    found["broken"] = train(folder / "broken", divided, objective=Objective({"a": broken}), on_nonfinite="skip")
    for name, hardware in kinds.items():
        found[f"{name} reductions"] = [reductions(hardware, folder / f"count-{name}-{n}", n) for n in (1, 3)]
    plan = trainer_of(folder / "plan", plain).plan
    found["samples"] = [key.sample for batch in plan for key in batch]
    found["refusals"] = refusals(plain.rank)
    found["raised"] = raised(folder / "raised", plain)
    found["full disk"] = full_disk(folder / "full", divided)
    found["read by others"] = read_by_others(divided)
    found["hang"] = hang(plain)
    return found


def raised(path: Path, hardware: Hardware) -> str:
    """What is said of a loss that is bad on the second replica."""
    broken = Squared(break_at=1 if hardware.rank == 1 else -1)
    try:
        train(path, hardware, objective=Objective({"a": broken}))
    except NonFiniteError as error:
        return str(error)
    return ""


def full_disk(path: Path, hardware: Hardware) -> dict[str, Any]:
    """What is said when the first replica can't note what a checkpoint in parts leaves out, and what training goes on to."""
    trainer, said = trainer_of(path, hardware, epochs=1), list[str]()
    logged = logging.Handler()
    logged.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    write = sharded.write_left_out

    def fails(directory: Path, omit: Mapping[str, str]) -> None:
        if directory.name.endswith("2"):
            raise OSError(28, "No space left on device")
        write(directory, omit)

    sharded.write_left_out = fails
    logging.getLogger("gaze").addHandler(logged)
    try:
        trainer.fit()
    finally:
        sharded.write_left_out = write
        logging.getLogger("gaze").removeHandler(logged)
    failed = [line for line in said if "No space left" in line]
    return {"said": failed, "steps": trainer.run.last.steps(), "at": trainer.progress.step}


def read_by_others(hardware: Hardware) -> list[float]:
    """What parts find whose weights the module around them reads, whole and divided, with units as small as can be."""
    hardware.shard_units = 1
    torch.manual_seed(0)
    blocks = nn.Sequential(CodeAttention(4, 2), nn.Linear(4, 4))
    model = Outer(blocks)
    whole = model(torch.ones(1, 2, 2, 4), torch.ones(1, 2)).flatten()
    divided = hardware.settle(model)
    part = divided(torch.ones(1, 2, 2, 4), torch.ones(1, 2)).flatten()
    return [*whole.tolist(), *part.tolist()]


class Outer(nn.Module):
    """Calls both of two parts, and reads the weights of the second as well."""

    reads_weights_of = ("parts",)

    def __init__(self, parts: nn.Sequential) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, pixels: Tensor, code: Tensor) -> Tensor:
        found: Tensor = self.parts[0](pixels, code)
        return self.parts[1](found) + self.parts[1].weight.sum()  # type: ignore[operator]


def hang(hardware: Hardware) -> str:
    """What the first replica says of the second, which never comes. They have left each other then."""
    group = dist.new_group(timeout=timedelta(seconds=0.5))
    try:
        with hardware.joined():
            if hardware.rank == 1:
                time.sleep(1.0 + ROLL_CALL)
            else:
                dist.all_reduce(torch.zeros(1), group=group)
    except ReplicaError as error:
        return str(error)
    return ""


def refusals(rank: int) -> list[str]:
    """What is said when replicas differ, and when one fails at what all have to do."""

    def fails() -> int:
        return 1 // (1 - rank)

    said = []
    for attempt in (
        lambda: check_same("data", lambda: {"train": {"samples": 10 + rank, "sha256": "ab"}}),
        lambda: on_all(fails),
    ):
        try:
            attempt()
        except ReplicaError as error:
            said.append(str(error))
    check_same("data", lambda: {"train": 10})
    return said


def unit_names(model: nn.Module, wanted: Any) -> list[str]:
    """Names of the modules that are gathered by themselves."""
    names = {module: name for name, module in model.named_modules()}
    return [names[unit] for unit in units(model, wanted)]
