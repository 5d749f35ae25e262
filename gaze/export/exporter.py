"""A run's model as one file, checked against PyTorch before it gets its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from gaze.durable import write_text
from gaze.errors import UserError
from gaze.export.baked import forget_checks, refuse_baked
from gaze.export.card import card_beside
from gaze.export.directions import Directions
from gaze.export.exported import Said, read_facts
from gaze.export.facts import ExportError, Facts
from gaze.export.format import Format, Traced, first_line, quiet
from gaze.export.formats import FORMATS
from gaze.export.plan import Plan, Wishes
from gaze.export.scenes import Scenes
from gaze.export.screens import Screens
from gaze.export.verification import Checks, Latency, largest_difference, latencies, one_thread
from gaze.models.inputs import taken_by
from gaze.runs import load_config, load_model
from gaze.types import DirectionInputs, SceneInputs, ScreenInputs

T = TypeVar("T")

PLANS: dict[type | None, type[Scenes] | type[Screens] | type[Directions]] = {
    SceneInputs: Scenes,
    ScreenInputs: Screens,
    DirectionInputs: Directions,
}


class Export(NamedTuple):
    """What was written, and what was seen while checking it."""

    path: Path
    facts: Said
    about: str  # one sentence on the inputs
    checks: Checks

    @property
    def difference(self) -> float | None:
        """The largest between the file and PyTorch; None for files that can't be run here."""
        return self.checks.difference

    @property
    def latencies(self) -> list[Latency]:
        """Of the model in PyTorch and in the file."""
        return self.checks.latencies

    def report(self) -> list[str]:
        """What a person should read, line by line."""
        checks, said = self.checks, [self.about]
        if checks.difference is None:
            said.append("not compared with PyTorch: such files can't be run here; inputs and outputs are as asked for")
        else:
            allowed = f"allowed: {checks.tolerance:.1e}"
            said.append(f"largest difference from PyTorch: {checks.difference:.1e} {checks.unit} ({allowed})")
        said += [f"{name.replace('_', ' ')}: {value:.3f}" for name, value in checks.measured.items()]
        said += [
            f"{of.what}, 1 CPU thread: {of.exported_ms:.1f} ms; PyTorch {of.torch_ms:.1f} ms (medians)"
            for of in checks.latencies
        ]
        files = [file for file in (self.path, *self.path.rglob("*")) if file.is_file()]
        said.append(f"written to {self.path} ({sum(file.stat().st_size for file in files) / 2**20:.1f} MiB)")
        beside = card_beside(self.path)
        return said if isinstance(self.facts, Facts) else [*said, f"its card is {beside.name}, which belongs beside it"]


def export(
    run: str | Path,
    out: str | Path | None = None,
    format: str = "onnx",
    names: str = "gaze",
    opset: int | None = None,
    size: list[int] | int | None = None,
    preprocess: str = "inside",
    weights: str = "float32",
    calibration: str | None = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> Export:
    """Write the model of a run as one file that takes any number of samples, or of images and people.

    Args:
        run: a run directory.
        out: the file; None: RUN/NAME.SUFFIX, where the name of a scene model has its size, too.
        format: ``onnx`` or ``pt2``; of models of crops also ``torchscript``, of points of gaze also ``coreml``.
        names: of scene models, ``gaze`` or ``pinto``, see `gaze.export.naming`.
        opset: of ONNX; None: 20.
        size: of scene models, height and width of the images in pixels, or one number; None: as the run was trained.
        preprocess: of crops, ``inside``: the file takes 8-bit pictures; ``outside``: floats from 0 to 1.
        weights: ``float32``, or ``int8`` for models of the point of gaze.
        calibration: JSON file of a person (tools/calibrate.py), whose correction becomes part of the file.
        tolerance: the largest allowed difference from PyTorch; None: 1e-4 of a probability or a unit vector, 1e-3 cm of a
            point.
        overwrite: replace `out` if it exists.

    Raises:
        ExportError: it can't be done as asked, or the file and PyTorch differ. Nothing is written then.
        RunError, ConfigError, CheckpointError, CalibrationError: the run or the calibration can't be used.
    """
    kind = _named("format", format, FORMATS)
    kind.check(opset)
    if out is not None:
        _check_free(Path(out), kind.suffix, overwrite)
    config = load_config(run)
    model = load_model(run)
    takes = taken_by(type(model))
    if takes not in PLANS:
        raise UserError(
            f"the run's model, {type(model).__name__}, takes {getattr(takes, '__name__', takes)}; expected a model of "
            "scenes, such as GazeLLE, of points of gaze on screens, or of gaze directions, such as GazeFormer"
        )
    plan = PLANS[takes](run, model, config, Wishes(names, size, preprocess, weights, calibration), kind)
    if format not in plan.formats:
        raise ExportError(f"format={format} is not for such models; expected {' or '.join(plan.formats)}")
    path = Path(out) if out is not None else Path(run, f"{plan.stem}{kind.suffix}")
    _check_free(path, kind.suffix, overwrite)
    measured = plan.measured()
    traced, outputs = trace(plan, weights == "int8")
    text = plan.text(outputs, run)

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".writing-{path.stem}{kind.suffix}")
    _remove(aside)
    try:
        kind.write(traced, aside, text, plan.about, opset)
        checks = _compare(plan, kind, aside, plan.tolerance if tolerance is None else tolerance, path)
        checks = checks._replace(measured=measured)
        beside = plan.card(text, aside, checks)
        _replace(aside, path)
        if beside is not None:
            write_text(card_beside(path), beside)
    finally:
        _remove(aside)
    return Export(path, read_facts(text, path), plan.about, checks)


def _compare(plan: Plan, kind: Format, file: Path, tolerance: float, path: Path) -> Checks:
    """The file beside PyTorch."""
    if not kind.runs:
        return Checks(None, tolerance, plan.unit, [], {})
    with one_thread():
        call, _ = kind.open(file)
        difference = largest_difference(plan.trials(), call)
    if not difference <= tolerance:
        raise ExportError(
            f"the file differs from PyTorch by {difference:.1e} {plan.unit}; expected at most "
            f"{tolerance:.1e}, so {path} was not written: try another opset or size, or format=pt2"
        )
    return Checks(difference, tolerance, plan.unit, latencies(plan.timed(), call), {})


def trace(plan: Plan, int8: bool) -> tuple[Traced, dict[str, Tensor]]:
    """The model behind its inputs as a graph, and what it says of the example."""
    with torch.no_grad():
        outputs = plan.graph(**plan.example)
    program = _program(plan.graph, plan.example, plan.dynamic)
    refuse_baked(program, cpu=not plan.anywhere)
    return Traced(plan.graph, plan.example, program, list(outputs), plan.dynamic, plan.pictures, int8), outputs


def _program(graph: nn.Module, example: dict[str, Tensor], dynamic: Mapping[str, dict]) -> ExportedProgram:
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(graph, (), example, dynamic_shapes=dict(dynamic))
    except Exception as error:  # each stage of torch.export has classes of its own
        named = getattr(graph, "model", graph)
        raise ExportError(
            f"{type(named).__name__} can't be exported: {first_line(error)}; expected a forward without "
            "branches on the values of tensors"
        ) from error
    forget_checks(program)
    for part in program.graph_module.modules():  # stretches with autocast off are graphs of their own
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # would put this machine's paths into the file
    return program


def _named(key: str, value: str, options: dict[str, T]) -> T:
    if value not in options:
        raise ExportError(f"{key}={value} is unknown; expected {' or '.join(options)}")
    return options[value]


def _check_free(path: Path, suffix: str, overwrite: bool) -> None:
    if path.suffix != suffix:
        raise ExportError(f"out={path} does not end in {suffix}, by which others know what it holds; rename it")
    if path.is_dir() and suffix != FORMATS["coreml"].suffix:
        raise ExportError(f"out={path} is a folder; give a file in it")
    for file in (path, card_beside(path)):
        if file.exists() and not overwrite:
            raise ExportError(f"{file} exists; give another out=, or overwrite=true")


def _replace(aside: Path, path: Path) -> None:
    """Give a file its name; a package is a folder, and can't take the place of another in one step."""
    old = path.with_name(f".replaced-{path.name}")
    if path.is_dir():
        _remove(old)
        os.replace(path, old)
    os.replace(aside, path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
