"""Protocols that train on some data sets and test on others: every run of a sweep on every named data set, in one table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml
from hydra import compose
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import EmptySplitError
from gaze.directions.evaluation import about_directions, predictions
from gaze.directions.reports import write_reports
from gaze.directions.table import OURS, write_predictions
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.reports.runs import find_runs
from gaze.run_data import dataset_node
from gaze.runs import build, check, load_config, load_model, plain_config
from gaze.screens.table import with_facts, write_csv
from gaze.tables import plain_table
from gaze.variants import names_of

FOLDER, FILE = "across", "across.csv"
SPLITS = ("train", "val")  # of a data set that nobody tests on by itself: all of it is new to the run
FIGURES = ("error_deg", "subject_error_deg")
OpenSplit = Callable[..., Dataset]


class Across(Callback):
    """Evaluates the runs of a sweep on other data sets when the last has ended.

    Args:
        datasets: names of files in conf/dataset. Of one without a test split everything is tested on.
        resamples: of the people, for intervals.
        batch_size: samples at once.
    """

    def __init__(self, datasets: Sequence[str], resamples: int = 1000, batch_size: int = 64) -> None:
        self.datasets, self.resamples, self.batch_size = list(datasets), resamples, batch_size

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        root = [f"data_root={config.data_root}"] if OmegaConf.select(config, "data_root") else []
        nodes = {
            name: plain_config(compose("evaluate", overrides=[f"dataset={name}", "run=none", *root]).dataset)
            for name in self.datasets
        }
        folder = Path(config.hydra.sweep.dir)
        evaluate_across(folder, nodes, build(config.hardware), self.batch_size, resamples=self.resamples)


class Trained(NamedTuple):
    """A model, and what opens the splits that it was trained and validated on."""

    model: nn.Module
    open_split: OpenSplit


def evaluate_across(
    folder: Path,
    nodes: Mapping[str, Mapping[str, Any]],
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Write and print what every run in a folder is worth on every data set.

    Args:
        folder: of the runs.
        nodes: config of each data set by its name; its samples are made to look as those of the run did.

    Raises:
        UserError: a data set is not about directions.
    """
    runs = find_runs(folder)
    overrides = {run: yaml.safe_load((run / "overrides.yaml").read_text()) for run in runs}
    rows = list[dict[str, object]]()
    for run, name in names_of(overrides).items():
        config = load_config(run)
        own = plain_config(config.dataset)
        trained = Trained(load_model(run), _opener(own))
        others = {other: _opener(dataset_node(own, node)) for other, node in nodes.items()}
        found = crossed(name, trained, others, folder / FOLDER / run.name, hardware, batch_size, amp, resamples, seed)
        rows += [{"run": name, "seed": config.seed} | row for row in found]
    write_csv(pa.Table.from_pylist(rows), folder / FOLDER / FILE)
    plain_table(matrix(rows, FIGURES[0]), "mean error on data sets that the run never saw, degrees")


def crossed(
    name: str,
    trained: Trained,
    others: Mapping[str, OpenSplit],
    folder: Path,
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, object]]:
    """A row for each data set: a model's figures there with their intervals, and the mean errors of its baselines.

    All reports of a data set are written into a folder of its name. No target data is used: what calibrates and competes
    is what the model was trained on.

    Args:
        name: of the run.
        others: what opens each data set, by its name.
    """
    found = []
    for other, open_split in others.items():
        parts = []
        for test_set in everything(open_split):
            if not about_directions(test_set):
                raise UserError(
                    f"{other} is not about directions; runs can be evaluated across data sets of these only"
                )
            parts.append(predictions(trained.model, test_set, trained.open_split, hardware, batch_size, amp)[0])
        table = _without_doubles(pa.concat_tables(parts, promote_options="permissive"))
        table = with_facts(table, {"run": name})
        (folder / other).mkdir(parents=True, exist_ok=True)
        write_predictions(table, folder / other)
        figures = write_reports(table, folder / other, resamples, seed)
        row: dict[str, object] = {"run": name, "tested_on": other, "n": len(table)}
        row["people"] = len(set(table["subject"].to_pylist()))
        for key in FIGURES:
            low, high = figures[OURS][key].interval or (None, None)
            row |= {key: figures[OURS][key].value, f"{key}_lo": low, f"{key}_hi": high}
        guesses = {label: row[FIGURES[0]].value for label, row in figures.items() if label not in (OURS, "tempered")}
        found.append(row | {f"{label}_{FIGURES[0]}": value for label, value in guesses.items()})
    return found


def everything(open_split: OpenSplit) -> list[Dataset]:
    """The test split, or where there is none all splits: those of training are new to a run that was trained elsewhere."""
    try:
        return [open_split(split="test")]
    except EmptySplitError:
        found = []
        for split in SPLITS:
            try:
                found.append(open_split(split=split))
            except EmptySplitError:
                continue
        if not found:
            raise
        return found


def matrix(rows: Sequence[Mapping[str, Any]], figure: str) -> pa.Table:
    """One figure, a row for each variant and a column for each data set.

    Runs that differ in their seed alone are one variant: their mean, and their standard deviation.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        values.setdefault(row["run"], {}).setdefault(row["tested_on"], []).append(row[figure])
    others = dict.fromkeys(row["tested_on"] for row in rows)
    columns = {other: [_cell(of.get(other, [])) for of in values.values()] for other in others}
    return pa.table({"run": list(values), **columns})


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def _opener(node: Mapping[str, Any]) -> OpenSplit:
    config = OmegaConf.create({"dataset": dict(node)})
    check(config)
    found: OpenSplit = build(config.dataset)
    return found


def _without_doubles(table: pa.Table) -> pa.Table:
    """Each sample once: where everybody trains, validation looks at some of them again."""
    seen = set[str]()
    first = [not (name in seen or seen.add(name)) for name in table["name"].to_pylist()]  # type: ignore[func-returns-value]
    return table.filter(pa.array(first))
