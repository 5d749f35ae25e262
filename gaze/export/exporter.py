"""A run's model as one file, checked against PyTorch before it gets its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from omegaconf import OmegaConf
from torch import nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

import gaze
from gaze.export.exported import Exported
from gaze.export.facts import ExportError, Facts
from gaze.export.formats import FORMATS, quiet
from gaze.export.naming import NAMINGS, Naming
from gaze.export.verification import Latency, largest_difference, latencies, one_thread, scene
from gaze.inference.predictor import check_scene_model
from gaze.runs import Run, load_config, load_model

T = TypeVar("T")


class Export(NamedTuple):
    """What was written, and what was seen while checking it."""

    path: Path
    facts: Facts
    difference: float  # the largest of any probability between the file and PyTorch
    latencies: list[Latency]


def export(
    run: str | Path,
    out: str | Path | None = None,
    format: str = "onnx",
    names: str = "gaze",
    opset: int | None = None,
    size: list[int] | int | None = None,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> Export:
    """Write the scene model of a run as one file that takes any number of images and people.

    Args:
        run: a run directory.
        out: the file; None: RUN/NAME_HEIGHTxWIDTH[_NAMES].SUFFIX.
        format: ``onnx`` or ``pt2``.
        names: ``gaze`` or ``pinto``, see `gaze.export.naming`.
        opset: of ONNX; None: 20.
        size: height and width of the images in pixels, or one number for both; None: as the run was trained.
        tolerance: the largest allowed difference of a probability from PyTorch.
        overwrite: replace `out` if it exists.

    Raises:
        ExportError: it can't be done as asked, or the file and PyTorch differ. Nothing is written then.
        RunError, ConfigError, CheckpointError: the run can't be used.
    """
    kind, naming = _named("format", format, FORMATS), _named("names", names, NAMINGS)
    kind.check(opset)
    config = load_config(run)
    pixels = _image_size(size, OmegaConf.select(config, "dataset.image_size"))
    name = str(config.get("name", "model"))
    scheme = "" if names == "gaze" else f"_{names}"
    path = Path(out) if out is not None else Path(run, f"{name}_{pixels[0]}x{pixels[1]}{scheme}{kind.suffix}")
    _check_free(path, kind.suffix, overwrite)
    model = load_model(run)
    check_scene_model(model)
    _check_stride(model, pixels)

    program, heatmap_size, outputs = _trace(model, naming, pixels)
    facts = Facts(
        name, names, pixels, heatmap_size, _identity(run), _weights_sha256(run), gaze.__version__, naming.describes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".writing-{path.stem}{kind.suffix}")
    try:
        kind.write(program, outputs, naming.dynamic(), aside, facts, opset)
        with one_thread():
            exported = Exported(aside, trust=True)
            difference = largest_difference(model, exported)
        if not difference <= tolerance:
            raise ExportError(
                f"the file differs from PyTorch by {difference:.1e} in a probability; expected at most "
                f"{tolerance:.1e}, so {path} was not written: try another opset or size, or format=pt2"
            )
        times = latencies(model, exported)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return Export(path, facts, difference, times)


def _trace(
    model: nn.Module, naming: Naming, size: tuple[int, int]
) -> tuple[ExportedProgram, tuple[int, int], list[str]]:
    """The model behind its inputs as a graph; the size of its heatmaps; the names of its outputs."""
    graph = naming.graph(model)
    # Neither 0 nor 1 nor the same number of anything: torch takes such sizes for constants.
    example, _ = naming.pack(scene(2, 5, size))
    with torch.no_grad():
        outputs = graph(**example)
    try:
        with quiet():
            program = torch.export.export(graph, (), example, dynamic_shapes=naming.dynamic())
    except Exception as error:  # each stage of torch.export has classes of its own
        raise ExportError(
            f"{type(model).__name__} can't be exported: {str(error).strip().splitlines()[0]}; expected a forward without "
            "branches on the values of tensors"
        ) from error
    for part in program.graph_module.modules():  # stretches with autocast off are graphs of their own
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # would put this machine's paths into the file
    height, width = outputs["heatmap"].shape[-2:]
    return program, (height, width), list(outputs)


def _named(key: str, value: str, options: dict[str, T]) -> T:
    if value not in options:
        raise ExportError(f"{key}={value} is unknown; expected {' or '.join(options)}")
    return options[value]


def _image_size(size: Sequence[int] | int | None, trained: Sequence[int] | None) -> tuple[int, int]:
    chosen = trained if size is None else [size, size] if isinstance(size, int) else size
    if chosen is None:
        raise ExportError("the run's config has no dataset.image_size; give size=[height,width] in pixels")
    if isinstance(chosen, str) or len(chosen) != 2 or not all(isinstance(n, int) and n > 0 for n in chosen):
        raise ExportError(f"size={chosen}; expected one number of pixels, or [height,width]")
    return chosen[0], chosen[1]


def _check_stride(model: nn.Module, size: tuple[int, int]) -> None:
    stride = getattr(getattr(model, "backbone", None), "stride", 1)
    if any(n % stride for n in size):
        height, width = (max(stride, round(n / stride) * stride) for n in size)
        raise ExportError(
            f"size is {size[0]} x {size[1]} px; expected multiples of the backbone's stride {stride}, such as "
            f"'size=[{height},{width}]'"
        )


def _check_free(path: Path, suffix: str, overwrite: bool) -> None:
    if path.suffix != suffix:
        raise ExportError(f"out={path} does not end in {suffix}, by which others know what it holds; rename it")
    if path.is_dir():
        raise ExportError(f"out={path} is a folder; give a file in it")
    if path.exists() and not overwrite:
        raise ExportError(f"{path} exists; give another out=, or overwrite=true")


def _identity(run: str | Path) -> str:
    path = Path(run).resolve()
    return f"{path.parent.name}/{path.name}"


def _weights_sha256(run: str | Path) -> str:
    opened = Run(run)
    checkpoint = opened.best.newest() or opened.last.newest()  # the one that load_model takes
    assert checkpoint is not None
    with (checkpoint / "model.safetensors").open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
