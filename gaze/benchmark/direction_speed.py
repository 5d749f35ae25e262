"""A training step of models of gaze in 3D, and the forward pass of their towers, against how they are published."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.timm_features import TimmFeatures
from gaze.benchmark.clock import interleaved
from gaze.benchmark.gazetr_reference import GazeTRReference
from gaze.benchmark.multiplications import rates, shares
from gaze.benchmark.prompt_speed import vit_b32
from gaze.benchmark.result import Result
from gaze.fusions.direction_gazetr import DirectionGazeTR
from gaze.geometry import pitch_yaw_to_vector
from gaze.hardware import Hardware
from gaze.heads.direction_angles import DirectionAnglesHead
from gaze.losses.direction import angle_between
from gaze.models.gazeformer import GazeFormer
from gaze.types import DirectionInputs

FACES, SIZE = 16, 224  # px
FEW = 2  # faces of a quick run


def gazetr_training(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """The model of conf/experiment/gazetr_xgaze, as it trains with trainer.amp and hardware.channels_last, against GazeTR."""
    torch.manual_seed(0)
    device, faces = hardware.device, FEW if small else FACES
    model = gazetr().to(device)
    peer = GazeTRReference(model).to(device)
    images = torch.randint(256, (faces, 3, SIZE, SIZE), device=device) / 255
    truth = 0.2 * torch.randn(faces, 2, device=device)

    backbone: Any = model.backbone
    ready = backbone.normalize(images)  # as the peer's reader gives them
    with torch.no_grad():
        found = model.eval()(DirectionInputs(images)).gaze
        difference = float((found - pitch_yaw_to_vector(peer.eval()(ready))).abs().max())

    def published(reference: nn.Module, given: Tensor) -> Tensor:
        return F.l1_loss(reference(given).float(), truth)

    def ours(trained: nn.Module, given: Tensor) -> Tensor:
        return angle_between(trained(DirectionInputs(given)).gaze.float(), pitch_yaw_to_vector(truth)).mean()

    adam = partial(torch.optim.Adam, lr=0.0)
    fast, last = partial(adam, fused=True), torch.channels_last
    candidates = {
        "published": Step(peer, adam, partial(published, given=ready)),
        "fair": Step(peer, adam, partial(published, given=ready.to(memory_format=last)), last, True),
        "fp32": Step(model, fast, partial(ours, given=images.to(memory_format=last)), last),
        "bf16": Step(model, fast, partial(ours, given=images.to(memory_format=last)), last, True),
    }
    timings = interleaved(candidates, rounds, device)
    yield Result(
        name=f"GazeTR, training, {faces} faces of {SIZE} px",
        unit="faces",
        units=faces,
        timings=timings,
        goals={"bf16": 4.0},
        difference=difference,
        tolerance=1e-5,
        limits=shares(timings, candidates["fp32"], rates(device, rounds)),
    )


def towers(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """ResNet-50 and CLIP's ViT-B/32 without gradients: contiguous float32 against channels last and bfloat16."""
    device, faces = hardware.device, FEW if small else FACES
    torch.manual_seed(0)
    images = torch.rand(faces, 3, SIZE, SIZE, device=device)
    clip: nn.Module = vit_b32()
    for name, plain in (("ResNet-50", TimmFeatures("resnet50")), ("CLIP ViT-B/32", clip)):
        plain = plain.to(device).eval()
        last = copy.deepcopy(plain).to(memory_format=torch.channels_last)

        @torch.inference_mode()
        def run(network: nn.Module, given: Tensor, amp: bool) -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                seen = network(given)
            return (seen if isinstance(seen, Tensor) else seen.patch_tokens).float()

        given = images.to(memory_format=torch.channels_last)
        candidates = {
            "published": partial(run, plain, images, False),
            "fair": partial(run, plain, images, True),
            "fp32": partial(run, last, given, False),
            "bf16": partial(run, last, given, True),
        }
        timings = interleaved(candidates, rounds, device)
        expected, found = candidates["published"](), candidates["fp32"]()
        yield Result(
            name=f"{name}, forward, {faces} faces of {SIZE} px",
            unit="faces",
            units=faces,
            timings=timings,
            goals={"bf16": 4.0},
            difference=float((expected - found).norm() / expected.norm()),
            tolerance=1e-4,
            limits=shares(timings, candidates["fp32"], rates(device, rounds)),
        )


def gazetr() -> GazeFormer:
    """The model of conf/experiment/gazetr_xgaze, at random."""
    return GazeFormer(None, None, TimmFeatures("resnet18"), DirectionGazeTR, DirectionAnglesHead)


class Step:
    """A training step of a copy of a model, whose weights stay: the rate of learning is 0.

    Args:
        model: is copied.
        optimizer: makes it, of parameters.
        loss: of the copy.
        layout: of weights of convolutions.
        amp: under autocast, in bfloat16.
        trained: the part of the model that the optimizer has; all of it by default.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        loss: Callable[[nn.Module], Tensor],
        layout: torch.memory_format = torch.contiguous_format,
        amp: bool = False,
        trained: str = "",
    ) -> None:
        self.model, self.loss, self.amp = copy.deepcopy(model).train().to(memory_format=layout), loss, amp
        self.optimizer = optimizer([p for p in self.model.get_submodule(trained).parameters() if p.requires_grad])

    def __call__(self) -> Float[Tensor, ""]:
        device = next(self.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.amp):
            loss = self.loss(self.model)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()
