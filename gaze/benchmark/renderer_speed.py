"""The neural renderer of the published redirector, with a key and a value of every pixel, against ours with neither."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result, largest
from gaze.hardware import Hardware
from gaze.heads.pixel_stages import SLOPE, PixelStages

CHANNELS, CODE = 32, 144


class Materialised(nn.Module):
    """The stages as they are usually written: channels first, a key and a value of each pixel, all of them in memory.

    Args:
        stages: whose weights it has; they have an attention.
    """

    def __init__(self, stages: PixelStages) -> None:
        super().__init__()
        self.held = copy.deepcopy(stages)

    def forward(self, feature: Float[Tensor, "n c h w"], code: Float[Tensor, "n q"]) -> Float[Tensor, "n 3 H W"]:
        picture = _layer(self.held.colours[0], feature)
        for stage, colour in zip(self.held.stages, self.held.colours[1:], strict=True):
            known: Any = stage
            if known.upsampler is not None:
                feature = _upsampled(known.upsampler, feature)
                picture = F.interpolate(picture, scale_factor=2, mode="bilinear")
                picture = _blurred(picture, known.upsampler.kernel)
            feature = F.leaky_relu(_layer(known.layer, feature), SLOPE)
            feature = feature + _found(known.attention, feature, code)
            picture = picture + _layer(colour, feature)
        return picture.sigmoid()


def renderer(
    rounds: int, hardware: Hardware, small: bool = False, size: int = 128, image_size: int = 512
) -> Iterator[Result]:
    """Training, forward and backward with the gradients of weights, features and code; and inference. One picture.

    `fair` is the published way with the channels of its features last in memory.
    """
    size, image_size = (size // 2, image_size // 2) if small else (size, image_size)
    draws = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    ours = PixelStages(CHANNELS, image_size // size, CODE).to(hardware.device)
    peer = Materialised(ours)
    feature = torch.randn(1, CHANNELS, size, size, generator=draws).to(hardware.device)
    code = torch.randn(1, CODE, generator=draws).to(hardware.device)
    last = feature.contiguous(memory_format=torch.channels_last)
    for name, call in {"training": _trained, "inference": _drawn}.items():
        candidates = {
            "published": partial(call, peer, feature, code),
            "fair": partial(call, peer, last, code),
            "exact": partial(call, ours, feature, code),
        }
        yield _measured(f"neural renderer, {name}, {size} to {image_size} px", candidates, rounds, hardware)


def _measured(
    name: str, candidates: Mapping[str, Callable[[], list[Tensor]]], rounds: int, hardware: Hardware
) -> Result:
    answers = {which: call() for which, call in candidates.items()}
    pairs = list(zip(answers["exact"], answers["published"], strict=True))
    sizes = [float(other.abs().max()) for _, other in pairs]
    scale = [sizes[0], *[max(sizes[1:], default=1.0)] * (len(pairs) - 1)]  # of the picture, and of all gradients
    return Result(
        name=name,
        unit="pictures",
        units=1,
        timings=interleaved(candidates, rounds, hardware.device),
        goals={"exact": 2.0},
        difference=largest(float((a - b).abs().max()) / by for (a, b), by in zip(pairs, scale, strict=True)),
        tolerance=1e-5,
        limits={},
    )


def _trained(model: nn.Module, feature: Tensor, code: Tensor) -> list[Tensor]:
    """The picture, and the gradients of features, code and weights."""
    given = [feature.detach().requires_grad_(), code.detach().requires_grad_()]
    picture = model(*given)
    wanted = [*given, *model.parameters()]
    return [picture.detach(), *torch.autograd.grad((picture - 0.3).square().mean(), wanted)]


@torch.inference_mode()
def _drawn(model: nn.Module, feature: Tensor, code: Tensor) -> list[Tensor]:
    return [model(feature, code)]


def _layer(linear: Any, feature: Tensor) -> Tensor:
    return F.conv2d(feature, linear.weight[:, :, None, None], linear.bias)


def _upsampled(upsampler: Any, feature: Tensor) -> Tensor:
    made = F.leaky_relu(_layer(upsampler.wide, feature), SLOPE)
    made = F.leaky_relu(_layer(upsampler.wider, made), SLOPE) + feature.repeat(1, 4, 1, 1)
    made = made.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)  # pixel_shuffle wants a channel's four together
    return _blurred(F.pixel_shuffle(made, 2), upsampler.kernel)


def _blurred(picture: Tensor, kernel: Tensor) -> Tensor:
    padded = F.pad(picture, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(picture.shape[1], 1, 3, 3), groups=picture.shape[1])


def _found(attention: Any, feature: Tensor, code: Tensor) -> Tensor:
    pixels = feature.flatten(2).mT
    share = (attention.key(pixels) @ code[:, :, None] / code.shape[1] ** 0.5).softmax(1)
    return (share.mT @ attention.value(pixels)).mT[..., None]
