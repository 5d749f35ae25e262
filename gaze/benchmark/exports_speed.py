"""Models in files: do they say what PyTorch says, for any number of people or samples, and how fast?"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from jaxtyping import Float
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.export import Dim

from gaze.benchmark.clock import Timing, interleaved
from gaze.benchmark.result import Result, largest
from gaze.checkpoints import Checkpoints
from gaze.export import verification
from gaze.export.exported import open_exported
from gaze.export.exporter import export
from gaze.export.format import Traced
from gaze.export.formats import FORMATS
from gaze.export.scenes import scene
from gaze.export.screens import look
from gaze.export.verification import Trial, largest_difference
from gaze.hardware import Hardware
from gaze.heads.pixel_stages import PixelStages
from gaze.runs import build, load_model
from gaze.types import DirectionInputs, SceneInputs

TOWER = {"_target_": "gaze.backbones.conv_tower.ConvTower"}
CROPS = {"streams": ["face", "left_eye", "right_eye", "geometry"], "face_size": 64, "eye_size": 32}
SIZE = (64, 64)  # px of scenes
FACE = 32  # px of faces
REPEATS = 10  # of a sample in a call
BATCHES = (1, 2, 5)  # pictures of the renderer
# Small ones, of each kind that can be exported; of the redirector that is its neural renderer
SYSTEMS: Mapping[str, Mapping[str, Any]] = {
    "GazeLLE": {
        "model": {
            "_target_": "gaze.models.gazelle.GazeLLE",
            "backbone": {"_target_": "gaze.backbones.conv_vit.ConvViT", "stem": [16, 32], "width": 64, "heads": 4},
            "head": {
                "_target_": "gaze.heads.heatmap_decoder.HeatmapDecoder",
                "_partial_": True,
                "width": 64,
                "heads": 4,
                "size": [16, 16],
                "inout": True,
            },
        },
        "dataset": {"image_size": list(SIZE)},
    },
    "point of gaze": {
        "model": {
            "_target_": "gaze.models.screen.ScreenModel",
            "trunks": {"face": TOWER, "eyes": TOWER},
            "fusion": {"_target_": "gaze.fusions.pooled.Pooled", "_partial_": True, "width": 64, "boxes": [32]},
            "output": {"_target_": "gaze.heads.point.PointHead", "_partial_": True},
        },
        "dataset": {"_target_": "gaze.datasets.screen.ScreenDataset", "_partial_": True, "path": "nowhere", **CROPS},
    },
    "GazeFormer": {
        "model": {
            "_target_": "gaze.models.linear_direction.LinearDirection",
            "clip": {"_target_": "gaze.clip.tiny_random.TinyRandom", "side": FACE},
            "head": {"_target_": "gaze.heads.direction_vmf.DirectionVMFHead", "_partial_": True},
        },
        "dataset": {"face_size": FACE},
    },
}


def exports(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Each kind of model as ONNX and as a program of torch.export; a small run has the point of gaze as a program.

    `published` is the model as it is, eager, in float32. The difference is the one that the exporter finds over all its
    trials, which have other numbers of samples, images and people than the graph was traced with.
    """
    for system in ("point of gaze",) if small else SYSTEMS:
        with tempfile.TemporaryDirectory() as folder:
            yield _exported(system, Path(folder), rounds, ("pt2",) if small else ("onnx", "pt2"))
    if not small:
        with tempfile.TemporaryDirectory() as folder:
            yield _renderer(Path(folder), rounds)


def _exported(system: str, folder: Path, rounds: int, formats: tuple[str, ...]) -> Result:
    run = _run(folder / "run", SYSTEMS[system])
    with verification.one_thread(), _silent():
        done = {name: export(run, folder / f"model.{name}", name) for name in formats}
        calls: dict[str, Callable[[], object]] = {
            "published": partial(_repeated, load_model(run).eval(), _asked(system))
        }
        for name, file in done.items():
            calls[name] = partial(_repeated, open_exported(file.path, trust=True), _asked(system))
        timings = interleaved(calls, rounds, torch.device("cpu"))
    return _result(f"{system}, small, as a file", timings, largest(file.difference or 0.0 for file in done.values()))


class Renderer(nn.Module):
    """GazeGaussian's neural renderer behind named inputs and outputs."""

    def __init__(self, width: int = 16, code: int = 24) -> None:
        super().__init__()
        self.width, self.code = width, code
        self.stages = PixelStages(width, 4, code)

    def forward(self, feature: Float[Tensor, "n c h w"], code: Float[Tensor, "n q"]) -> dict[str, Tensor]:
        return {"picture": self.stages(feature, code)}

    def given(self, pictures: int) -> dict[str, Tensor]:
        """Inputs."""
        rng = torch.Generator().manual_seed(pictures)
        size = (pictures, self.width, 16, 16)
        return {
            "feature": torch.randn(size, generator=rng),
            "code": torch.randn(pictures, self.code, generator=rng),
        }


@torch.no_grad()
def _renderer(folder: Path, rounds: int) -> Result:
    """Through the same writers as whole models."""
    torch.manual_seed(0)
    graph = Renderer().eval()
    batch = Dim("batch")
    dynamic = {name: {0: batch} for name in graph.given(2)}
    trials = [Trial(f"{n} pictures", graph.given(n), partial(_named, graph, n)) for n in BATCHES]
    one = graph.given(1)
    calls: dict[str, Callable[[], object]] = {"published": partial(_repeated, lambda given: graph(**given), one)}
    found = []
    with verification.one_thread():
        program = torch.export.export(graph, (), graph.given(3), dynamic_shapes=dynamic)
        traced = Traced(graph, graph.given(3), program, ["picture"], dynamic)
        for name in ("onnx", "pt2"):
            FORMATS[name].write(traced, folder / f"renderer.{name}", "{}", "a neural renderer", None)
            call, _ = FORMATS[name].open(folder / f"renderer.{name}")
            found.append(largest_difference(trials, call))
            calls[name] = partial(_repeated, call, one)
        timings = interleaved(calls, rounds, torch.device("cpu"))
    return _result("GazeGaussian's neural renderer, small, as a file", timings, largest(found))


def _named(graph: Renderer, pictures: int) -> dict[str, Tensor]:
    with torch.no_grad():
        return graph(**graph.given(pictures))


def _result(name: str, timings: Mapping[str, Timing], difference: float) -> Result:
    return Result(
        name=name,
        unit="samples",
        units=REPEATS,
        timings=timings,
        goals={},
        difference=difference,
        tolerance=1e-5,
        limits={},
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Without what the exporters say about the data of these runs, of which there is none."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@torch.no_grad()
def _repeated(call: Callable[[Any], object], asked: Any) -> None:
    for _ in range(REPEATS):
        call(asked)


def _asked(system: str) -> object:
    """One sample as floats in [0, 1]."""
    if system == "GazeLLE":
        one = scene(1, 1, SIZE)
        return SceneInputs(one.image / 255, one.head_bbox, one.image_index)
    return look(CROPS, 1) if system == "point of gaze" else DirectionInputs(torch.rand(1, 3, FACE, FACE))


def _run(folder: Path, config: Mapping[str, Any]) -> Path:
    """A run directory with first weights."""
    folder.mkdir()
    plain = OmegaConf.to_container(OmegaConf.create({"name": "small", **config}))
    (folder / "config.yaml").write_text(yaml.safe_dump(plain))
    torch.manual_seed(0)
    Checkpoints(folder / "best").save(0, build(OmegaConf.create(dict(config["model"]))), {"step": 0})
    return folder
