"""All workloads by name, run one after the other, printed and kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from gaze.benchmark.frame_loader_speed import screen_loader
from gaze.benchmark.head_loader_speed import head_loader
from gaze.benchmark.head_step_speed import head_step
from gaze.benchmark.loader_speed import loader
from gaze.benchmark.logging_speed import waiting
from gaze.benchmark.metric_speed import gazefollow_auc, vat_auc
from gaze.benchmark.moe_speed import fusion_compiled, moe_training
from gaze.benchmark.prompt_speed import faces_cached, prompts
from gaze.benchmark.raster_speed import raster_training, raster_views
from gaze.benchmark.redirector_speed import redirector
from gaze.benchmark.renderer_speed import renderer
from gaze.benchmark.result import Cost, Result
from gaze.benchmark.scene_speed import SceneSpeed
from gaze.benchmark.screen_speed import screen_training
from gaze.benchmark.startup_speed import startup
from gaze.benchmark.stream_speed import stream
from gaze.benchmark.sweep_speed import sweep
from gaze.benchmark.trainer_speed import trainer
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.models.gazelle import GazeLLE

Suite = Mapping[str, Callable[[], Iterator[Result | Cost]]]


def workloads(
    model: Callable[[], GazeLLE],
    size: tuple[int, int],
    persons: Sequence[int],
    hardware: Hardware,
    rounds: int,
    samples: int = 1,
) -> Suite:
    """Name -> the results, one after the other. The model is built when the first needs it."""
    scene = cache(lambda: SceneSpeed(model(), size, hardware, rounds))
    return {
        "train": lambda: (scene().train(n) for n in persons),
        "latency": lambda: (scene().latency(n) for n in persons),
        "cached": lambda: iter([scene().cached()]),
        "head": lambda: iter([scene().heatmap_head()]),
        "auc": lambda: (measure() for measure in (partial(gazefollow_auc, rounds), partial(vat_auc, rounds))),
        "loader": lambda: iter([loader(rounds, size)]),
        "screens": lambda: iter([screen_training(rounds, samples, hardware)]),
        "screen_loader": lambda: iter([screen_loader(rounds)]),
        "prompts": lambda: iter(prompts(rounds, hardware)),
        "faces_cached": lambda: iter([faces_cached(rounds, hardware)]),
        "moe": lambda: moe_training(rounds, hardware),
        "raster": lambda: raster_training(rounds, hardware),
        "raster_views": lambda: raster_views(rounds, hardware),
        "fusion": lambda: iter([fusion_compiled(rounds, hardware)]),
        "renderer": lambda: renderer(rounds, hardware),
        "redirector": lambda: redirector(rounds, hardware),
        "head_step": lambda: head_step(rounds, hardware),
        "head_loader": lambda: head_loader(rounds, hardware),
        "stream": lambda: stream(rounds),
        "trainer": lambda: trainer(rounds, hardware),
        "logging": lambda: waiting(rounds),
        "startup": lambda: iter([startup(rounds)]),
        "sweep": lambda: iter([sweep()]),
    }


def run(suite: Suite, only: Sequence[str], out: str | Path, hardware: Hardware) -> list[Result | Cost]:
    """Run the workloads `only`, print a table, and append a JSON line for each row to `out`.

    Raises:
        UserError: an unknown workload.
    """
    unknown = [name for name in only if name not in suite]
    if unknown:
        raise UserError(f"only={unknown}: no such workload; expected some of {', '.join(suite)}")
    machine = {
        "machine": platform.processor() or platform.machine(),
        "device": torch.cuda.get_device_name() if hardware.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    results: list[Result | Cost] = []
    console = Console()
    with console.status("") as status:
        for name in only:
            status.update(f"{name} …")
            for result in suite[name]():
                results.append(result)
                console.print(*result.lines(), sep="\n")
                _append(Path(out), [machine | row for row in result.rows()])
    for table in (
        _table([result for result in results if isinstance(result, Result)]),
        _costs([result for result in results if isinstance(result, Cost)]),
    ):
        if table.row_count:
            console.print(table)
    console.print(f"kept in {out}")
    return results


def _append(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in rows)


def _table(results: Sequence[Result]) -> Table:
    sheet = Table("workload", "ours", title="times faster, best of the rounds (of their medians)", title_justify="left")
    for heading in ("per second", "x published", "goal", "x fair", "of the limit", "difference"):
        sheet.add_column(heading, justify="right")
    for row in (row for result in results for row in result.rows()):
        sheet.add_row(
            f"{row['workload']}",
            f"{row['ours']}",
            f"{row['per_second']:.4g} {row['unit']}",
            f"{row['ratio']:.2f} ({row['ratio_of_medians']:.2f})",
            f"{row['goal']:g}" if row["goal"] else "",
            f"{row['fair_ratio']:.2f}" if row["fair_ratio"] else "",
            f"{row['limit_share']:.0%}" if row["limit_share"] else "",
            f"{row['difference']:.1e}" + ("" if row["same"] else " TOO LARGE"),
        )
    return sheet


def _costs(results: Sequence[Cost]) -> Table:
    sheet = Table(
        "workload", "ours", title="what things of ours take, best of the rounds (medians)", title_justify="left"
    )
    for heading in ("ms", "at most", "without us", "more", "share", ""):
        sheet.add_column(heading, justify="right")
    for row in (row for result in results for row in result.rows()):
        sheet.add_row(
            f"{row['workload']}",
            f"{row['ours']}",
            f"{row['ms']:.4g} ({row['ms_median']:.4g})",
            f"{row['most_ms']:.4g}" if row["most_ms"] else "",
            f"{row['bare_ms']:.4g}",
            f"{row['more_ms']:.3g}",
            f"{row['more_share']:.1%} ({row['more_share_of_medians']:.1%})",
            ("" if row["within"] else "TOO LONG") + ("" if row["same"] else " DIFFERS"),
        )
    return sheet
