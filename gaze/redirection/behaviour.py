"""How a redirector behaves where no photograph says what is right: along a sweep, outside of the eyes, and how fast."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.geometry import vector_to_pitch_yaw
from gaze.hardware import Hardware
from gaze.head_regions import eyes_mask
from gaze.perceptual.estimators import Estimator
from gaze.redirection.figures import leak, spearman
from gaze.redirection.rendering import render
from gaze.redirection.sources import uncorrected
from gaze.redirection.targets import looking
from gaze.types import Batch, FaceInputs, FaceTargets, collate

STEPS = 15  # of a sweep
WARM_UP = 20
LONGEST = 10.0  # s, of timing


class Speed(NamedTuple):
    """Pictures per second of a whole forward pass."""

    device: str
    single: float  # at batch 1, as published
    batched: float
    batch_size: int


def monotony(
    model: nn.Module,
    data: Dataset,
    indices: Sequence[int],
    judge: Estimator,
    reach: float,
    hardware: Hardware,
    batch_size: int = 16,
) -> dict[str, Float[Tensor, "n"]]:
    """Rank correlations of the gaze that is told and the one that an estimator sees, along sweeps of pitch and of yaw.

    Args:
        reach: of each sweep to both sides, radians.
    """
    found = {}
    along = torch.linspace(-reach, reach, STEPS)
    for axis, name in enumerate(("monotony_pitch", "monotony_yaw")):
        told = torch.zeros(STEPS, 2)
        told[:, axis] = along
        rows = []
        for index in indices:
            image = render(model, looking(uncorrected(collate([data[index].inputs])), told), hardware, batch_size)
            rows.append(vector_to_pitch_yaw(judge.seen(image.to(hardware.device)).cpu())[:, axis])
        seen = torch.stack(rows)
        found[name] = spearman(along.expand_as(seen), seen)
    return found


def leaks(
    model: nn.Module, batch: Batch[FaceInputs, FaceTargets], gaze: Float[Tensor, "b 2"], hardware: Hardware
) -> Float[Tensor, "b"] | None:
    """How much heads change outside of their eyes when only their gaze becomes another; None without masks of eyes."""
    eyes = eyes_mask(batch.targets)
    if eyes is None:
        return None
    size = len(gaze)
    own = render(model, batch.inputs, hardware, size)
    return leak(own, render(model, replace(batch.inputs, gaze=gaze), hardware, size), eyes.cpu())


def speed(model: nn.Module, inputs: FaceInputs, hardware: Hardware, amp: bool = False, frames: int = 100) -> Speed:
    """Pictures per second, with the device awaited before and after, and warm.

    Args:
        inputs: a batch; its first alone is timed, too.
    """
    many = hardware.place(inputs)
    one = many.map(lambda t: t[:1])
    single = _rate(model, one, hardware, amp, frames)
    batched = _rate(model, many, hardware, amp, max(1, frames // len(many.gaze)))
    return Speed(_device(hardware.device), single, batched, len(many.gaze))


@torch.no_grad()
def _rate(model: nn.Module, inputs: FaceInputs, hardware: Hardware, amp: bool, calls: int) -> float:
    def draw() -> None:
        with hardware.autocast(amp):
            model(inputs)

    begun = time.perf_counter()
    for _ in range(WARM_UP):
        draw()
        _await(hardware.device)
        if time.perf_counter() - begun > LONGEST / 2:
            break
    begun, done = time.perf_counter(), 0
    while done < calls and time.perf_counter() - begun < LONGEST:
        draw()
        done += 1
        if hardware.device.type == "cpu":
            continue
        if done % 10 == 0:
            _await(hardware.device)
    _await(hardware.device)
    return done * len(inputs.gaze) / (time.perf_counter() - begun)


def _await(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
