"""Training classic iTracker: ours against the published program, on the same weights and crops."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gaze.backbones.itracker_tower import ITrackerTower
from gaze.benchmark.clock import interleaved
from gaze.benchmark.itracker_reference import ITrackerReference, Streams, streams, training_step
from gaze.benchmark.multiplications import FORMATS, rates, shares
from gaze.benchmark.result import Result
from gaze.benchmark.screen_speed import sized
from gaze.fusions.itracker import ITracker
from gaze.hardware import Hardware
from gaze.heads.point import PointHead
from gaze.models.screen import STREAMS, ScreenModel
from gaze.optimizers import grouped
from gaze.types import ScreenInputs

SIDE = 224  # px of every crop
BIASES = {"*.bias": {"lr": 2e-9, "weight_decay": 0.0}}


def itracker_training(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """A step of 16 samples, in a small run of one.

    `fair` has bfloat16, channels last, and no gradients of pictures.
    """
    samples, device = (1 if small else 16), hardware.device
    torch.manual_seed(0)
    model, inputs = itracker().to(device).train(), sized(samples, SIDE, SIDE).to(device)
    truth = torch.tensor([3.0, -4.0], device=device).expand(samples, 2)
    right = ITrackerReference(copy.deepcopy(model), nn.LocalResponseNorm)
    expected = float(F.mse_loss(right(*streams(model, inputs)), truth).detach())
    candidates: dict[str, Callable[[], float | Tensor]] = {}
    for name, layout in {"published": torch.contiguous_format, "fair": torch.channels_last}.items():
        held = copy.deepcopy(model).to(memory_format=layout)
        peer = ITrackerReference(held)
        given = Streams(*(t.contiguous(memory_format=layout) if t.dim() == 4 else t for t in streams(held, inputs)))
        theirs = torch.optim.SGD(peer.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-4)
        plain = name == "published"
        candidates[name] = partial(training_step, peer, theirs, given, truth, amp=not plain, pictures=plain)
    step = partial(_step, model.to(memory_format=torch.channels_last), _optimizer(model), last(inputs), truth)
    candidates |= {name: partial(step, amp=name == "bf16") for name in FORMATS}
    found = float(candidates["fp32"]())
    timings = interleaved(candidates, rounds, device)
    yield Result(
        name=f"iTracker, training, {samples} of {SIDE} px",
        unit="samples",
        units=samples,
        timings=timings,
        goals={"bf16": 4.0},
        difference=abs(found - expected) / expected,
        tolerance=1e-5,
        limits=shares(timings, candidates["fp32"], rates(device, rounds)),
    )


def itracker() -> ScreenModel:
    """The model of conf/model/pog_itracker, at random; with first weights by which answers depend on pictures."""
    trunks = {name: ITrackerTower([SIDE, SIDE], caffe=False) for name in ("face", "eyes")}
    fusion = partial(ITracker, cells=144, eyes=[128], face=[128, 64], grid=[256, 128])
    return ScreenModel(trunks, fusion, PointHead)


def last(inputs: ScreenInputs) -> ScreenInputs:
    """The crops with their channels last in memory."""
    return replace(inputs, **{n: getattr(inputs, n).contiguous(memory_format=torch.channels_last) for n in STREAMS})


def _optimizer(model: ScreenModel) -> torch.optim.Optimizer:
    sgd = partial(torch.optim.SGD, lr=1e-9, momentum=0.9, weight_decay=5e-4, fused=True)
    return grouped(model, sgd, BIASES)


def _step(
    model: ScreenModel, optimizer: torch.optim.Optimizer, inputs: ScreenInputs, truth: Tensor, amp: bool
) -> Tensor:
    with torch.autocast(truth.device.type, torch.bfloat16, enabled=amp):
        point = model(inputs).point
    loss = F.mse_loss(point.float(), truth)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()
