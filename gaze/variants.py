"""A sweep over variants of a model ends in one table: what each is worth on the test split, seed by seed."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from scipy.special import stdtrit

from gaze.errors import UserError
from gaze.evaluation import evaluate
from gaze.hardware import Hardware
from gaze.journal import monitored
from gaze.loading import release
from gaze.reports.runs import find_runs
from gaze.runs import build, check, chosen, load_config, load_model, plain_config

FOLDER, FILE, DIFFERENCES = "variants", "variants.csv", "differences.csv"
LEVEL = 0.95
SEED = "seed="
Figures = dict[str, dict[int, dict[str, float]]]  # variant -> seed -> figure -> value
Measure = Callable[[Path, Hardware, str, int], dict[str, float]]  # run, split and batch size to figures


class Variants(Callback):
    """Evaluates every run of a sweep on the same split when the last has ended, and tables them.

    Runs that differ in their seed alone are one variant: their mean, and their standard deviation. Where all variants have
    the same seeds, two or more, differences from the first one are taken seed by seed and have a 95 % interval, that of
    Student's t; variants/differences.csv has them of all figures.

    Args:
        split: of each run's data set.
        figures: to print, by name; all are in variants/variants.csv of the sweep's folder. The first is compared.
        batch_size: samples at once.
        measure: what says the figures of a run; None: its own metrics.
    """

    def __init__(
        self,
        split: str = "test",
        figures: Sequence[str] = (),
        batch_size: int = 64,
        measure: Measure | None = None,
    ) -> None:
        self.split, self.figures, self.batch_size, self.measure = (
            split,
            list(figures),
            batch_size,
            measure or by_metrics,
        )

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        found = figures_of(folder, build(config.hardware), self.split, self.batch_size, self.measure)
        write(found, folder / FOLDER / FILE)
        write_differences(found, folder / FOLDER / DIFFERENCES)
        print_table(found, self.figures or [monitored(plain_config(load_config(find_runs(folder)[0])))[0]], self.split)


def by_metrics(run: Path, hardware: Hardware, split: str, batch_size: int) -> dict[str, float]:
    """What a run is worth on a split of its own data set, by its own metrics."""
    config = load_config(run)
    nodes = OmegaConf.create({group: plain_config(config[group]) for group in ("dataset", "metric")})
    check(nodes)
    loader = hardware.loader(build(nodes.dataset)(split=split), batch_size=batch_size)
    found = evaluate(load_model(run).to(hardware.device), loader, chosen(nodes, "metric"), hardware)
    release(loader)
    return found


def figures_of(
    folder: Path, hardware: Hardware, split: str = "test", batch_size: int = 64, measure: Measure = by_metrics
) -> Figures:
    """What every run in a folder is worth.

    Raises:
        UserError: two runs are the same variant with the same seed.
    """
    runs = find_runs(folder)
    names = names_of({run: yaml.safe_load((run / "overrides.yaml").read_text()) for run in runs})
    found: Figures = {}
    for run in runs:
        seed, seeds = load_config(run).seed, found.setdefault(names[run], {})
        if seed in seeds:
            raise UserError(f"{folder}: two runs are {names[run]} with seed={seed}; give the folder of one sweep")
        seeds[seed] = measure(run, hardware, split, batch_size)
    return found


def names_of(overrides: Mapping[Path, Sequence[str]]) -> dict[Path, str]:
    """What each run is called: those of its overrides, but for the seed, that not all runs have."""
    shared = set.intersection(*(set(words) for words in overrides.values()))
    names = {}
    for run, words in overrides.items():
        own = [word for word in words if word not in shared and not word.startswith(SEED)]
        names[run] = ", ".join(own) or "as it is"
    return names


def write(found: Figures, file: Path) -> None:
    """A line for each run: its variant and seed, then its figures."""
    columns = list(dict.fromkeys(name for seeds in found.values() for values in seeds.values() for name in values))
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(["variant", "seed", *columns])
        for variant, seeds in found.items():
            lines.writerows(
                [variant, seed, *(values.get(name, "") for name in columns)] for seed, values in seeds.items()
            )


def write_differences(found: Figures, file: Path) -> None:
    """A line for each variant but the first, and each figure: how far it is from the first's, with the interval's ends."""
    first, *others = found.items()
    with file.open("w", newline="") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(["variant", "than", "figure", "seeds", "difference", "ci_lo", "ci_hi"])
        for variant, seeds in others:
            for name in next(iter(seeds.values())):
                value, ends = difference(first[1], seeds, name)
                lines.writerow([variant, first[0], name, len(seeds), value, *(ends or ("", ""))])


def difference(
    start: Mapping[int, Mapping[str, float]], seeds: Mapping[int, Mapping[str, float]], name: str
) -> tuple[float, tuple[float, float] | None]:
    """How much larger a variant's figure is than the first one's, on average over seeds, and the 95 % interval of that.

    The interval is of the differences seed by seed; there is none where seeds differ, or for fewer than two of them.
    """
    if set(start) != set(seeds) or len(seeds) < 2 or start is seeds:
        return _mean(_values(seeds, name)) - _mean(_values(start, name)), None
    apart = [seeds[seed].get(name, math.nan) - start[seed].get(name, math.nan) for seed in seeds]
    value, count = _mean(apart), len(apart)
    reach = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(statistics.variance(apart) / count)
    return value, (value - reach, value + reach)


def print_table(found: Figures, figures: Sequence[str], split: str) -> None:
    """A row for each variant, and how far its first figure is from the first variant's, with the interval if there is one."""
    sheet = Table("variant", "runs", title=f"variants on the {split} split", title_justify="left")
    for name in figures:
        sheet.add_column(name, justify="right")
    sheet.add_column("difference", justify="right")
    start = next(iter(found.values()))
    for variant, seeds in found.items():
        cells = [_cell(_values(seeds, name)) for name in figures]
        value, ends = difference(start, seeds, figures[0])
        apart = f"{value:+.3f}" + (
            f" \\[{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else ""
        )  # a bare bracket begins a style
        sheet.add_row(variant, str(len(seeds)), *cells, apart)
    Console().print(sheet)


def _values(seeds: Mapping[int, Mapping[str, float]], name: str) -> list[float]:
    return [values.get(name, math.nan) for values in seeds.values()]


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


def _cell(values: Sequence[float]) -> str:
    if all(map(math.isnan, values)):
        return ""  # nothing of the kind, as of a model without such a part
    spread = f" ± {math.sqrt(statistics.variance(values)):.3f}" if len(values) > 1 else ""
    return f"{_mean(values):.3f}{spread}"
