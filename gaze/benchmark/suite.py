"""All workloads by name, run one after the other, printed and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from rich.console import Console

from gaze.benchmark.annotation_memory import label_memory
from gaze.benchmark.direction_speed import gazetr_training, towers
from gaze.benchmark.exports_speed import exports
from gaze.benchmark.face_loader_speed import faces_loader
from gaze.benchmark.feature_speed import features
from gaze.benchmark.frame_loader_speed import screen_loader
from gaze.benchmark.frame_speed import FrameSpeed, compiled, frames_640
from gaze.benchmark.gazeformer_speed import gazeformer_training
from gaze.benchmark.head_loader_speed import head_loader
from gaze.benchmark.head_step_speed import head_step
from gaze.benchmark.itracker_speed import itracker_training
from gaze.benchmark.loader_speed import loader
from gaze.benchmark.logging_speed import waiting
from gaze.benchmark.metric_speed import gazefollow_auc, vat_auc
from gaze.benchmark.moe_speed import SHAPES as MOE
from gaze.benchmark.moe_speed import fusion_compiled, moe_training
from gaze.benchmark.printing import tables
from gaze.benchmark.prompt_speed import faces_cached, prompts
from gaze.benchmark.raster_speed import raster_training, raster_views
from gaze.benchmark.record import Record
from gaze.benchmark.redirector_speed import redirector
from gaze.benchmark.renderer_speed import renderer
from gaze.benchmark.result import Cost, Result
from gaze.benchmark.screen_latency_speed import compiled_screen, screen_latency
from gaze.benchmark.screen_speed import screen_training
from gaze.benchmark.startup_speed import startup
from gaze.benchmark.stream_speed import stream
from gaze.benchmark.sweep_speed import sweep
from gaze.benchmark.trainer_speed import trainer
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.models.gazelle import GazeLLE


class Workload(NamedTuple):
    """Something that is measured."""

    system: str  # gazelle, pog, gazeformer, gazegaussian, or shared by all
    measure: Callable[[], Iterator[Result | Cost]]


Suite = Mapping[str, Workload]
WIDTH = 170  # characters of a table that goes to a file


def workloads(
    model: Callable[[], GazeLLE],
    size: tuple[int, int],
    persons: Mapping[str, Sequence[int]],
    hardware: Hardware,
    rounds: int,
    samples: int = 1,
    small: bool = False,
) -> Suite:
    """Name -> what is measured. The model is built when the first needs it."""
    scene = cache(lambda: FrameSpeed(model(), size, hardware, rounds))
    few = (4,) if small else ()  # faces
    screens = (2, hardware, 128, 64) if small else (samples, hardware)
    return {
        "train": Workload("gazelle", lambda: (scene().train(n) for n in persons["train"])),
        "latency": Workload("gazelle", lambda: scene().frames(persons["frame"])),
        "cached": Workload("gazelle", lambda: iter([scene().cached()])),
        "head": Workload("gazelle", lambda: iter([scene().heatmap_head()])),
        "frames_640": Workload("gazelle", lambda: frames_640(rounds, hardware, small)),
        "compiled": Workload("gazelle", lambda: compiled(rounds, hardware, small)),
        "auc": Workload(
            "gazelle", lambda: (measure() for measure in (partial(gazefollow_auc, rounds), partial(vat_auc, rounds)))
        ),
        "loader": Workload("gazelle", lambda: loader(rounds, hardware, size, small)),
        "screens": Workload("pog", lambda: iter([screen_training(rounds, *screens)])),
        "itracker": Workload("pog", lambda: itracker_training(rounds, hardware, small)),
        "screen_latency": Workload("pog", lambda: screen_latency(rounds, hardware, small)),
        "compiled_screen": Workload("pog", lambda: compiled_screen(rounds, hardware, small)),
        "screen_loader": Workload("pog", lambda: screen_loader(rounds, hardware, small)),
        "faces_loader": Workload("gazeformer", lambda: faces_loader(rounds, hardware, small)),
        "gazetr": Workload("gazeformer", lambda: gazetr_training(rounds, hardware, small)),
        "gazeformer_step": Workload("gazeformer", lambda: gazeformer_training(rounds, hardware, small)),
        "towers": Workload("gazeformer", lambda: towers(rounds, hardware, small)),
        "prompts": Workload("gazeformer", lambda: iter(prompts(rounds, hardware, *few))),
        "faces_cached": Workload("gazeformer", lambda: iter([faces_cached(rounds, hardware, *few)])),
        "moe": Workload("gazeformer", lambda: moe_training(rounds, hardware, MOE[-1:] if small else MOE)),
        "fusion": Workload("gazeformer", lambda: iter([] if small else [fusion_compiled(rounds, hardware)])),
        "raster": Workload("gazegaussian", lambda: raster_training(rounds, hardware, small=small)),
        "raster_views": Workload("gazegaussian", lambda: raster_views(rounds, hardware, small=small)),
        "renderer": Workload("gazegaussian", lambda: renderer(rounds, hardware, small=small)),
        "redirector": Workload("gazegaussian", lambda: redirector(rounds, hardware, small=small)),
        "head_step": Workload("gazegaussian", lambda: head_step(rounds, hardware, small)),
        "head_loader": Workload("gazegaussian", lambda: head_loader(rounds, hardware, small)),
        "features": Workload("shared", lambda: features(rounds, hardware, small)),
        "exports": Workload("shared", lambda: exports(rounds, hardware, small)),
        "annotations": Workload("shared", lambda: label_memory(rounds, hardware, small)),
        "stream": Workload("shared", lambda: stream(rounds, *((100_000,) if small else ()))),
        "trainer": Workload("shared", lambda: trainer(rounds, hardware, small)),
        "logging": Workload("shared", lambda: waiting(rounds)),
        "startup": Workload("shared", lambda: iter([startup(rounds)])),
        "sweep": Workload("shared", lambda: iter([sweep()])),
    }


def chosen(suite: Suite, only: Sequence[str]) -> list[str]:
    """Names of workloads, in the order of the suite; a system stands for all of its own, `steps` for all of these.

    Raises:
        UserError: there is no such workload or system.
    """
    said = {name: {name, name.partition(".")[0], workload.system} for name, workload in suite.items()}
    unknown = [word for word in only if not any(word in words for words in said.values())]
    if unknown:
        systems = ", ".join(dict.fromkeys(workload.system for workload in suite.values()))
        raise UserError(
            f"only={unknown}: no such workload; expected some of {', '.join(suite)}, or all of a system: {systems}"
        )
    return [name for name, words in said.items() if words & set(only)]


def run(suite: Suite, only: Sequence[str], record: Record) -> None:
    """Run the workloads `only`, keep each row as soon as it is known, and print tables.

    Raises:
        UserError: an unknown workload.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    names = chosen(suite, only)
    try:
        with console.status("") as status:
            for number, name in enumerate(names, start=1):
                status.update(f"{name} ({number} of {len(names)}) …")
                workload = suite[name]
                for result in workload.measure():
                    record.add(workload.system, name, result)
                    console.print(*result.lines(), sep="\n")
    finally:  # what is known stays known if the rest fails
        console.print(*tables(record.results, record.costs))
        console.print(*(f"kept: {file}" for file in record.close()), sep="\n")
