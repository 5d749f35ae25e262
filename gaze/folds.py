"""Protocols that leave somebody out in turn: what each run of a sweep says of those it never saw, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.directions import evaluation as directions
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.journal import Journal
from gaze.reports.runs import find_runs
from gaze.run_data import dataset_node
from gaze.runs import TOP, build, check, differences, load_config, load_model, plain_config
from gaze.screens import evaluation as screens
from gaze.screens.table import LEFT_OUT

# What may differ between the runs of one protocol: who is left out; where and how loudly it ran.
FREE = (
    "dataset.hold_out",
    "val_dataset.hold_out",
    "dir",
    "resume",
    "hardware",
    "logger",
    "callback.log",
    "callback.progress",
)
FOLDER = "evaluation"  # of a sweep's


class Task(NamedTuple):
    """What differs between protocols of points and of directions."""

    about: Callable[[Dataset], bool]
    table: Callable[..., pa.Table]  # of predictions, by model, test split, what opens others, and what predicts
    together: Callable[[Sequence[pa.Table]], Sequence[pa.Table]]  # tables of several runs, made fit for being one
    report: Callable[..., None]


class Protocol(Callback):
    """Evaluates the runs of a sweep together when the last has ended, as tools/evaluate.py does with the sweep's folder.

    Args:
        resamples: of the people, for intervals.
    """

    def __init__(self, resamples: int = 1000) -> None:
        self.resamples = resamples

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        evaluate_folds(Path(config.hydra.sweep.dir), build(config.hardware), resamples=self.resamples)


def evaluate_folds(
    folder: Path,
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    out: Path | None = None,
    root: str | None = None,
) -> None:
    """Write and print the reports of all runs of a protocol, each on the people whom it left out.

    Args:
        folder: of the runs.
        hardware, batch_size, amp: what predicts.
        resamples, seed: of the intervals.
        out: where reports go; None: `evaluation` in the folder.
        root: where the data set lies now; None: where it was in training.

    Raises:
        UserError: the runs do not make up one protocol about screens or directions.
    """
    configs = {run: load_config(run) for run in find_runs(folder)}
    names = _left_out(folder, configs)
    judged = [fold_table(run, names[run], config, hardware, batch_size, amp, root) for run, config in configs.items()]
    task = judged[0][0]
    table = pa.concat_tables(task.together([table for _, table in judged]), promote_options="permissive")
    config = next(iter(configs.values()))
    about = {"split": "left out in turn", "model": str(config.name), "run": str(folder)}
    task.report(table, out or folder / FOLDER, about, resamples, seed)


def fold_table(
    run: Path,
    name: str,
    config: DictConfig,
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
    root: str | None = None,
) -> tuple[Task, pa.Table]:
    """The predictions of one run for those it left out, beside what its own training people teach the baselines.

    Args:
        name: of what was left out.
    """
    node = OmegaConf.create({"dataset": dataset_node(plain_config(config.dataset), None, root)})
    check(node)
    open_split = build(node.dataset)
    test_set = open_split(split="test")
    task = next((task for task in TASKS if task.about(test_set)), None)
    if task is None:
        raise UserError(
            f"{run} is about neither screens nor directions; a protocol of folds can be evaluated for these only"
        )
    table = task.table(load_model(run), test_set, open_split, hardware, batch_size, amp)
    return task, table.append_column(LEFT_OUT, pa.array([name] * len(table)))


def _left_out(folder: Path, configs: Mapping[Path, DictConfig]) -> dict[Path, str]:
    """Whom or what each run left out.

    Raises:
        UserError: a run left nobody out, two the same, or they differ in more than that.
    """
    names = {run: _name(config) for run, config in configs.items()}
    nobody = [str(run) for run, name in names.items() if not name]
    if nobody:
        raise UserError(
            f"{nobody[0]} left nobody out: its dataset.hold_out is null; give one run, or a sweep=loso's folder"
        )
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        raise UserError(
            f"{folder}: {', '.join(twice)} is left out by several runs; expected one for each: evaluate the folder of one sweep"
        )
    (first, config), *others = configs.items()
    for run, other in others:
        found = [key for key, *_ in differences(_plain(config), _plain(other)) if not _free(key)]
        if found:
            raise UserError(
                f"{first} and {run} differ in {', '.join(found[:5])}; runs of one protocol differ in dataset.hold_out alone"
            )
    for run, config in configs.items():
        _check_finished(run, config)
    return names


def _check_finished(run: Path, config: DictConfig) -> None:
    """Refuse a run that was to train for a fixed number of epochs and has not: its newest weights are not its last."""
    epochs = max((entry.values.get("train/epoch", 0.0) for entry in Journal(run).read()), default=0.0)
    if config.trainer.mode == "last" and epochs < config.trainer.epochs:
        raise UserError(
            f"{run} has trained for {epochs:.0f} of {config.trainer.epochs} epochs; let the sweep go on: its command with "
            f"hydra.sweep.dir={run.parent}"
        )


def _name(config: DictConfig) -> str:
    held = plain_config(config.dataset).get("hold_out")
    return "/".join(str(v) for v in held.values() if v is not None) if isinstance(held, dict) else held or ""


def _plain(config: DictConfig) -> dict[str, Any]:
    return {key: value for key, value in plain_config(config).items() if key in TOP}


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _renumbered(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The tables with fixations that differ between them; each counted its own from 0."""
    found, first = [], 0
    for table in tables:
        fixation = table["fixation"]
        moved = pc.if_else(pc.less(fixation, 0), fixation, pc.add(fixation, first))
        found.append(table.set_column(table.column_names.index("fixation"), "fixation", moved))
        first += max((pc.max(fixation).as_py() or 0) + 1, 0)
    return found


def _screen_table(model: nn.Module, test_set: Dataset, open_split: Callable[..., Dataset], *how: Any) -> pa.Table:
    return screens.predictions(model, test_set, open_split(split="train").labels, *how)  # type: ignore[attr-defined]


def _direction_table(model: nn.Module, test_set: Dataset, open_split: Callable[..., Dataset], *how: Any) -> pa.Table:
    return directions.predictions(model, test_set, open_split, *how)[0]


TASKS = (
    Task(screens.about_screens, _screen_table, _renumbered, screens.report),
    Task(directions.about_directions, _direction_table, list, directions.report),
)
