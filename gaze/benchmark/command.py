"""From the config of `tools/benchmark.py` to its rows."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from gaze.benchmark.machine import machine, measured
from gaze.benchmark.printing import limits_table
from gaze.benchmark.record import Record, rows_of
from gaze.benchmark.step_speed import Stack, steps
from gaze.benchmark.suite import Workload, chosen, run, workloads
from gaze.hardware import Hardware
from gaze.models.gazelle import GazeLLE
from gaze.runs import build, plain_config


def measure(cfg: DictConfig) -> None:
    """Run what the config asks for.

    Raises:
        UserError: an unknown workload, a stack that can't be composed, or a folder that holds figures already.
    """
    hardware = Hardware(device=cfg.device, workers=0, threads=cfg.threads)
    before = rows_of(cfg.before) if cfg.before else []
    stacks = {name: Stack(**stack) for name, stack in plain_config(cfg).get("steps", {}).items()}
    limits = measured(hardware)
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
    for name, stack in stacks.items():
        suite[f"steps.{name}"] = Workload(
            stack.system, lambda n=name, s=stack: steps({n: s}, cfg.rounds, hardware, limits.products)
        )
    chosen(suite, cfg.only)  # or it says that there is none, before anything is kept
    Console().print(limits_table(limits))
    settings = {key: value for key, value in plain_config(cfg).items() if key not in ("out", "before", "data_root")}
    run(suite, list(cfg.only), Record(Path(cfg.out), machine(hardware), limits, settings, before))
