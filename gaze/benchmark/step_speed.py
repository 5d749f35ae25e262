"""Training steps and predictions of whole config stacks, as `gaze.train` builds them, in each number format and compiled.

The plain way they are compared with is the same stack in float32, contiguous and not compiled. The ways of peers, whose
code differs, have workloads of their own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from gaze.assembly import assembled
from gaze.benchmark.clock import interleaved
from gaze.benchmark.multiplications import operations
from gaze.benchmark.result import Result, largest
from gaze.errors import UserError
from gaze.freezing import train_mode
from gaze.hardware import Hardware
from gaze.runs import Run, build, check_stack, chosen, plain_config, without_weights
from gaze.synthesis.progress import progress_bar
from gaze.trainer import Trainer
from gaze.types import Batch, Record, collate

SIZES = ("trainer.batch_size=1", "trainer.accumulate=1", "trainer.effective_batch_size=null")  # we make the batches
AROUND = ("summary", "active_parts", "signature", "log", "progress", "checkpoint")  # callbacks that work between steps
FORMATS = {"published": "float32", "bf16": "bfloat16", "compiled": "bfloat16"}
TOLERANCE = 0.05  # of a loss and of predictions in bfloat16, relative


@dataclass(frozen=True)
class Stack:
    """What is measured: a model as a user would ask for it, on a synthetic world that is made for it.

    Args:
        system: that it belongs to.
        overrides: of `python -m gaze.train`.
        world: overrides of `tools/synthesize.py`.
        batch: samples of a step.
        compiled: measure it compiled, too, which takes minutes on a CPU.
    """

    system: str
    overrides: Sequence[str]
    world: Sequence[str]
    batch: int
    compiled: bool = False
    variants: Mapping[str, Sequence[str]] = field(init=False)

    def __post_init__(self) -> None:
        variants = {
            "published": ["trainer.amp=false", "hardware.channels_last=false", "hardware.compile=null"],
            "bf16": ["trainer.amp=true", "hardware.channels_last=true", "hardware.compile=null"],
        }
        if self.compiled:
            variants["compiled"] = [*variants["bf16"][:2], "hardware.compile=inductor"]
        object.__setattr__(self, "variants", variants)


class Stepper(NamedTuple):
    """A trainer with a batch of its own on the device."""

    trainer: Trainer
    batch: Batch

    def step(self) -> Tensor:
        """Take a training step, and return its loss."""
        return self.trainer.train_step([self.batch])["loss"]

    lowered: AbstractContextManager[None]  # of predictions, see `Hardware.lowered`

    def look(self) -> Record:
        """Predict the batch with what gradients need."""
        trainer = self.trainer
        with trainer.hardware.autocast(trainer.amp):
            return trainer.net(self.batch.inputs)

    @torch.inference_mode()
    def predict(self) -> Record:
        """Predict the batch as evaluation does, though compiled where training is."""
        with self.lowered:
            return self.look()


def steps(stacks: Mapping[str, Stack], rounds: int, hardware: Hardware, peaks: Mapping[str, float]) -> Iterator[Result]:
    """A training step of each stack, then a prediction.

    Args:
        peaks: number format -> operations per second of the machine's matrix products.

    Raises:
        UserError: a stack can't be composed, or its world can't be made.
    """
    for name, stack in stacks.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as open_ones:
            try:
                steppers = _steppers(stack, Path(folder), hardware, open_ones)
            except (HydraException, OmegaConfBaseException) as error:
                raise UserError(f"steps.{name}: {' '.join(str(error).split())}") from error
            yield _measured(f"{name}, training step of {stack.batch}", stack, steppers, (rounds, hardware), peaks)
            for stepper in steppers.values():
                stepper.trainer.net.eval()
            yield _predicted(f"{name}, prediction of {stack.batch}", stack, steppers, (rounds, hardware), peaks)


def _measured(
    name: str, stack: Stack, steppers: Mapping[str, Stepper], how: tuple[int, Hardware], peaks: Mapping[str, float]
) -> Result:
    rounds, hardware = how
    losses: dict[str, float] = {}
    warm_up_s: dict[str, float] = {}
    needed = 0.0
    for variant, stepper in steppers.items():
        first = partial(_keep, losses, variant, stepper)
        began = time.perf_counter()
        if variant == "published":
            needed = operations(first)
        else:
            first()
        warm_up_s[variant] = time.perf_counter() - began
    timings = interleaved({v: s.step for v, s in steppers.items()}, rounds, hardware.device)
    return Result(
        name=name,
        unit="samples",
        units=stack.batch,
        timings=timings,
        goals={},
        difference=largest(abs(loss / losses["published"] - 1) for loss in losses.values()),
        tolerance=TOLERANCE,
        limits={v: needed / peaks[FORMATS[v]] / timings[v].best for v in steppers},
        warm_up_s={"compiled": warm_up_s.get("compiled", 0.0)},
    )


def _keep(losses: dict[str, float], variant: str, stepper: Stepper) -> None:
    losses[variant] = float(stepper.step())


def _predicted(
    name: str, stack: Stack, steppers: Mapping[str, Stepper], how: tuple[int, Hardware], peaks: Mapping[str, float]
) -> Result:
    rounds, hardware = how
    needed = operations(steppers["published"].look)  # which the counter can follow
    weights = steppers["published"].trainer.model.state_dict()
    for stepper in steppers.values():  # their steps have led them apart
        stepper.trainer.model.load_state_dict(weights)
    answers = {variant: stepper.predict() for variant, stepper in steppers.items()}
    timings = interleaved({v: s.predict for v, s in steppers.items()}, rounds, hardware.device)
    return Result(
        name=name,
        unit="samples",
        units=stack.batch,
        timings=timings,
        goals={},
        difference=largest(apart(answers["published"], answer) for answer in answers.values()),
        tolerance=TOLERANCE,
        limits={v: needed / peaks[FORMATS[v]] / timings[v].best for v in steppers},
    )


def apart(one: Record, other: Record) -> float:
    """The largest difference of two predictions' numbers, over the largest of the first's, of the field where it is worst."""
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]
    numbers = [(a, b) for a, b in pairs if isinstance(a, Tensor) and a.is_floating_point() and a.numel()]
    return largest(float((a.float() - b.float()).abs().max() / a.abs().max().clamp_min(1e-6)) for a, b in numbers)


def _steppers(stack: Stack, folder: Path, hardware: Hardware, open_ones: ExitStack) -> dict[str, Stepper]:
    """A trainer for each variant, from the same first weights and with the same samples."""
    data = folder / "data"
    GlobalHydra.instance().clear()  # the benchmark's own config is composed already
    with initialize_config_module("gaze.conf"):
        world = compose("synthesize", overrides=[*stack.world, f"data_root={data}", "workers=1"])
        around = [
            f"data_root={data}",
            "logger=none",
            f"hardware.device={hardware.device}",
            "hardware.workers=0",
            *SIZES,
        ]
        configs = {
            variant: compose("train", overrides=[*stack.overrides, *around, f"dir={folder}/{variant}", *changes])
            for variant, changes in stack.variants.items()
        }
    _write(world)
    made = {}
    for variant, config in configs.items():
        trainer = _trainer(config)
        open_ones.callback(trainer.close)
        samples, order = trainer.train_set, torch.Generator().manual_seed(0)
        drawn = [
            samples.in_epoch(i % len(samples), torch.Generator().manual_seed(i), order) for i in range(stack.batch)
        ]
        batch = trainer.hardware.place(collate(drawn))
        made[variant] = Stepper(trainer, batch, trainer.hardware.lowered(trainer.model, trainer.amp, everything=True))
    return made


def _write(config: DictConfig) -> None:
    makers = ["gaze.synthesis.*"]
    world = instantiate(config.world, _convert_="object", _execution_whitelist_=makers)
    write = instantiate(config.layout, _execution_whitelist_=makers)
    counts = {split: config[split] for split in ("train", "val", "test")}
    with progress_bar("images") as progress:
        write(world, config.out, counts, config.seed, config.workers, config.annotators, config.overwrite, progress)


def _trainer(config: DictConfig) -> Trainer:
    """As `gaze.train` builds it, but with random weights and without what works between steps."""
    check_stack(config)
    hardware: Hardware = build(config.hardware)
    torch.manual_seed(config.seed)
    model = hardware.settle(build(without_weights(plain_config(config.model))))
    callbacks: dict[str, Any] = {n: c for n, c in chosen(config, "callback").items() if n not in AROUND}
    trainer = assembled(config, Run(config.dir), hardware, model, callbacks)
    trainer.start()
    trainer.call("epoch_start")
    train_mode(trainer.net)
    trainer.objective.train()
    return trainer
