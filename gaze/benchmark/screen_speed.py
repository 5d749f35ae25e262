"""A training step of the recommended point-of-gaze model against one of the deployed first version."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gaze.backbones.dilated_resnet import DilatedResNet
from gaze.backbones.timm_features import TimmFeatures
from gaze.benchmark.clock import interleaved
from gaze.benchmark.multiplications import rates, shares
from gaze.benchmark.result import Result
from gaze.fusions.hybrid_gaze import HybridGaze
from gaze.fusions.itracker import ITracker
from gaze.fusions.mixing import ResidualNormMixing
from gaze.hardware import Hardware
from gaze.heads.point import PointHead
from gaze.models.screen import STREAMS, ScreenModel
from gaze.optimizers import grouped
from gaze.types import ScreenInputs


def screen_training(rounds: int, samples: int, hardware: Hardware, face_size: int = 448, eye_size: int = 128) -> Result:
    """conf/model/pog_itracker_mhsa against pog_itracker_mhsa_v1, on the same crops.

    These are two models, so there are no answers to compare; what both must do is take their step, which the loss
    being finite shows. Ours trains as conf/hardware/cuda has it, channels last, and the fair peer in bfloat16 too.
    """
    device, crops = hardware.device, sized(samples, face_size, eye_size)
    inputs, truth = crops.to(device), torch.zeros(samples, 2, device=device)
    first = _Steps(first_version(), inputs, truth, torch.contiguous_format)
    ours = _Steps(shared(face_size, eye_size), inputs, truth, torch.channels_last)
    candidates = {"published": partial(first, amp=False), "fair": partial(first, amp=True)}
    candidates |= {"fp32": partial(ours, amp=False), "bf16": partial(ours, amp=True)}
    timings = interleaved(candidates, rounds, device)
    return Result(
        name=f"point of gaze, training, {samples} of {face_size} and {eye_size} px",
        unit="samples",
        units=samples,
        timings=timings,
        goals={"fp32": 3.0, "bf16": 3.0},
        difference=0.0 if bool(torch.stack([ours(amp=False), first(amp=False)]).isfinite().all()) else float("inf"),
        tolerance=0.0,
        limits=shares(timings, candidates["fp32"], rates(device, rounds)),
    )


def shared(face_size: int = 448, eye_size: int = 128) -> ScreenModel:
    """The model of conf/model/pog_itracker_mhsa, at random."""
    trunks = {"face": TimmFeatures("resnet50"), "eyes": TimmFeatures("resnet50", output_stride=16)}
    cells = {"face": (face_size // 32) ** 2, "eyes": (eye_size // 16) ** 2}
    return ScreenModel(trunks, partial(HybridGaze, cells=cells), PointHead)


def first_version() -> ScreenModel:
    """The model of conf/model/pog_itracker_mhsa_v1, at random."""
    trunks: dict[str, nn.Module] = {
        "face": TimmFeatures("resnet50"),
        "left_eye": DilatedResNet(),
        "right_eye": DilatedResNet(),
    }
    return ScreenModel(trunks, partial(ITracker, mixing=ResidualNormMixing), PointHead)


class _Steps:
    def __init__(self, model: ScreenModel, inputs: ScreenInputs, truth: Tensor, layout: torch.memory_format) -> None:
        self.model, self.truth = model.to(truth.device).to(memory_format=layout).train(), truth
        pictures = {name: getattr(inputs, name).contiguous(memory_format=layout) for name in STREAMS}
        self.inputs = replace(inputs, **pictures)
        self.optimizer = grouped(self.model, partial(torch.optim.AdamW, lr=1e-9, fused=True))

    def __call__(self, amp: bool) -> Tensor:
        with torch.autocast(self.truth.device.type, torch.bfloat16, enabled=amp):
            point = self.model(self.inputs).point
        loss = F.smooth_l1_loss(point.float(), self.truth)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def sized(samples: int, face_size: int, eye_size: int) -> ScreenInputs:
    """Noise, as floats in [0, 1], and boxes."""
    draws = torch.Generator().manual_seed(samples)
    face, left, right = (torch.rand(samples, 3, n, n, generator=draws) for n in (face_size, eye_size, eye_size))
    return ScreenInputs(face, left, right, torch.rand(samples, 12, generator=draws))
