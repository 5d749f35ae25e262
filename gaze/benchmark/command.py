"""From the config of `tools/benchmark.py` to its rows."""

from __future__ import annotations

from dataclasses import fields
from functools import cache, partial
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from gaze.benchmark.machine import machine, measured
from gaze.benchmark.printing import limits_table
from gaze.benchmark.record import Record, free, rows_of
from gaze.benchmark.step_speed import Stack, steps
from gaze.benchmark.suite import Workload, chosen, run, workloads
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.models.gazelle import GazeLLE
from gaze.runs import build, plain_config


def measure(cfg: DictConfig) -> None:
    """Run what the config asks for.

    Raises:
        UserError: an unknown workload, a stack that can't be composed, or a folder that holds figures already.
    """
    only = [cfg.only] if isinstance(cfg.only, str) else list(cfg.only)
    if cfg.rounds < 1:
        raise UserError(f"rounds is {cfg.rounds}; expected 1 or more")
    hardware = _hardware(cfg.device, cfg.threads)
    folder, before = free(cfg.out), rows_of(cfg.before) if cfg.before else []
    stacks = {name: _stack(name, **stack) for name, stack in plain_config(cfg)["steps"].items()}
    suite = dict(
        workloads(
            lambda: GazeLLE(build(cfg.backbone), build(cfg.head)),
            (cfg.image_size[0], cfg.image_size[1]),
            {"train": cfg.persons.train, "frame": cfg.persons.frame},
            hardware,
            cfg.rounds,
            cfg.samples,
            cfg.small,
        )
    )
    limits = cache(partial(measured, hardware))
    for name, stack in stacks.items():
        suite[f"steps.{name}"] = Workload(
            stack.system, lambda n=name, s=stack: steps({n: s}, cfg.rounds, hardware, limits().products)
        )
    chosen(suite, only)  # or it says that there is none, before anything is measured
    Console().print(limits_table(limits()))
    settings = {key: value for key, value in plain_config(cfg).items() if key not in ("out", "before", "data_root")}
    run(suite, only, Record(folder, machine(hardware), limits(), settings, before))


def _hardware(device: str, threads: int | None) -> Hardware:
    try:
        hardware = Hardware(device=device, workers=0, threads=threads)
    except ValueError as error:
        raise UserError(f"device={device} can't be measured: torch does not see it; use device=cpu") from error
    # By default convolutions may round to TF32 and products may not: neither, or what is one here and the other there differs.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return hardware


def _stack(name: str, **options: Any) -> Stack:
    try:
        return Stack(**options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(Stack) if field.init)
        raise UserError(f"steps.{name} has {', '.join(options) or 'nothing'}; expected {known}") from error
