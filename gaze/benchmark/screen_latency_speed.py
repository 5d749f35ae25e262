"""From crops to a point of gaze: one frame, and several at once, of classic iTracker and of the recommended model."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from gaze.benchmark.clock import interleaved
from gaze.benchmark.itracker_reference import ITrackerReference, Streams, streams
from gaze.benchmark.itracker_speed import SIDE, itracker, last
from gaze.benchmark.multiplications import FORMATS, rates, shares
from gaze.benchmark.result import Result
from gaze.benchmark.screen_speed import first_version, shared, sized
from gaze.export.format import Traced
from gaze.export.formats import FORMATS as FILES
from gaze.export.screen_graph import ScreenGraph
from gaze.folding import folded
from gaze.hardware import Hardware
from gaze.models.screen import STREAMS
from gaze.types import ScreenInputs

Calls = dict[str, Callable[[], Tensor]]


def screen_latency(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Frames of iTracker, and of the recommended model as they are and folded; a small run has one frame of iTracker.

    In the published way, and in the fair one, frames come one by one and each eye goes through the network by itself.
    """
    for frames in (1,) if small else (1, 8):
        yield _itracker(rounds, hardware, frames, file=not small)
    if not small:
        yield _recommended(rounds, hardware)


def compiled_screen(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Both models as torch.compile makes them, which takes minutes on a CPU: a small run has neither."""
    if small:
        return
    torch.manual_seed(0)
    made = ((itracker(), sized(1, SIDE, SIDE)), (shared(), sized(1, 448, 128)))
    for model, inputs in ((model.to(hardware.device).eval(), given.to(hardware.device)) for model, given in made):
        seen = last(inputs)
        plain = folded(model).to(memory_format=torch.channels_last)
        calls: Calls = {
            "published": partial(predicted, model, inputs),
            "fair": partial(predicted, plain, seen, amp=True),
        }
        compiled = torch.compile(plain)
        calls |= {name: partial(predicted, compiled, seen, amp=name == "bf16") for name in FORMATS}
        about = f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters"
        yield _result(f"point of gaze compiled, a frame, {about}", 1, rounds, hardware, calls, calls["published"]())


def _itracker(rounds: int, hardware: Hardware, frames: int, file: bool) -> Result:
    torch.manual_seed(0)
    model, inputs = itracker().to(hardware.device).eval(), sized(frames, SIDE, SIDE).to(hardware.device)
    given, last_given = (
        Streams(*(t.contiguous(memory_format=layout) if t.dim() == 4 else t for t in streams(model, inputs)))
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    moved = copy.deepcopy(model).to(memory_format=torch.channels_last)
    ours, seen = folded(moved), last(inputs)
    calls: Calls = {
        "published": partial(_one_by_one, ITrackerReference(model), given),
        "fair": partial(_one_by_one, ITrackerReference(moved), last_given, amp=True),
    }
    calls |= {name: partial(predicted, ours, seen, amp=name == "bf16") for name in FORMATS}
    if file and hardware.device.type == "cpu":
        calls["fp32, ONNX Runtime"] = _in_a_file(model, inputs)
    right = _one_by_one(ITrackerReference(model, nn.LocalResponseNorm), given)
    name = f"iTracker, {frames} {'frame' if frames == 1 else 'frames'}"
    return _result(name, frames, rounds, hardware, calls, right, {"bf16": 2.0})


def _recommended(rounds: int, hardware: Hardware) -> Result:
    """Against the deployed first version, another model; answers are compared with those before the folding."""
    torch.manual_seed(0)
    inputs = sized(1, 448, 128).to(hardware.device)
    model, first = (made.to(hardware.device).eval() for made in (shared(), first_version()))
    seen, plain = last(inputs), copy.deepcopy(model).to(memory_format=torch.channels_last)
    one = folded(plain)
    calls: Calls = {"published": partial(predicted, first, inputs), "fair": partial(predicted, first, inputs, amp=True)}
    calls |= {name: partial(predicted, one, seen, amp=name == "bf16") for name in FORMATS}
    calls |= {f"{name}, not folded": partial(predicted, plain, seen, amp=name == "bf16") for name in FORMATS}
    return _result("point of gaze, a frame", 1, rounds, hardware, calls, predicted(model, inputs))


def _in_a_file(model: nn.Module, inputs: ScreenInputs) -> Callable[[], Tensor]:
    """What the model says from an ONNX file, in the threads that PyTorch has."""
    names = (*STREAMS, "geometry")
    graph, traced_with = ScreenGraph(model, inside=False).eval(), sized(3, SIDE, SIDE)
    example = {name: getattr(traced_with, name) for name in names}
    batch = Dim("batch")
    dynamic = {name: {0: batch} for name in names}
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        outputs = list(graph(**example))
        program = torch.export.export(graph, (), example, dynamic_shapes=dynamic)
        traced = Traced(graph, example, program, outputs, dynamic)
        FILES["onnx"].write(traced, Path(folder, "itracker.onnx"), "{}", "iTracker", None)
        call, _ = FILES["onnx"].open(Path(folder, "itracker.onnx"))
    given = {name: getattr(inputs, name) for name in names}
    return lambda: call(given)["point_cm"]


@torch.inference_mode()
def predicted(model: Callable[[ScreenInputs], object], inputs: ScreenInputs, amp: bool = False) -> Tensor:
    """Points of gaze, cm."""
    assert inputs.face is not None
    with torch.autocast(inputs.face.device.type, torch.bfloat16, enabled=amp):
        said: object = model(inputs)
    return said.point.float()  # type: ignore[attr-defined]


@torch.inference_mode()
def _one_by_one(peer: ITrackerReference, given: Streams, amp: bool = False) -> Tensor:
    with torch.autocast(given.face.device.type, torch.bfloat16, enabled=amp):
        found = [peer(*(stream[i : i + 1] for stream in given)) for i in range(len(given.face))]
    return torch.cat(found).float()


def _result(
    name: str,
    frames: int,
    rounds: int,
    hardware: Hardware,
    calls: Calls,
    right: Tensor,
    goals: Mapping[str, float] | None = None,
) -> Result:
    """`fp32` must say what is right, and does the multiplications that are counted."""
    found = calls["fp32"]()
    timings = interleaved(calls, rounds, hardware.device)
    return Result(
        name=name,
        unit="frames",
        units=frames,
        timings=timings,
        goals=goals or {},
        difference=float((found - right).abs().max() / right.abs().max()),
        tolerance=1e-5 if hardware.device.type == "cpu" else 1e-4,  # cuDNN multiplies each layout in a way of its own
        limits=shares(timings, calls["fp32"], rates(hardware.device, rounds)),
    )
