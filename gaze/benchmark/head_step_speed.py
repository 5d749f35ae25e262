"""The whole training step of GazeGaussian's second stage with all its losses, against the published way."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from gaze.avatars.corrections import Corrections
from gaze.backbones.gaussian_head import GaussianHead
from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import product_rate
from gaze.benchmark.published_head import PublishedHead
from gaze.benchmark.redirector_speed import PAPER, Shape, views
from gaze.benchmark.result import Result, largest
from gaze.eye_rotations.learned_origin import LearnedOriginRotation
from gaze.hardware import Hardware
from gaze.heads.renderer_unet import UNetRenderer
from gaze.losses.head_regularizers import Offset
from gaze.losses.image import SSIM, RegionL1
from gaze.losses.objective import Objective
from gaze.losses.perceptual import Perceptual
from gaze.losses.redirected_gaze import RedirectedGaze
from gaze.models.redirector import Redirector
from gaze.perceptual.vgg_lpips import VGGLPIPS
from gaze.rasterize.rasterizer import Rasterizer
from gaze.types import Batch, DirectionInputs, DirectionPrediction, FaceTargets, Progress

REDUCED = Shape(128, 32, 8_750, 125, 256, 2)  # a sixteenth of the areas and Gaussians of the paper
LEAST = Shape(32, 8, 1_000, 20, 32, 1)
ROWS = 14_400  # training samples of ETH-XGaze, each with codes of its own
SEEN = 224 / 512  # of a picture's side: what the estimator sees
TOLERANCE = 1e-3  # of sums over a dozen views in another order
TIME = Progress(0, 1, 1)


class VGGDirection(nn.Module):
    """GazeGaussian's estimator in the loss: VGG-16, its mean over the picture, and three small layers. Random weights."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.face_size = (side, side)
        self.features = vgg()
        self.output = nn.Sequential(nn.Linear(512, 64), nn.LeakyReLU(0.2), nn.Linear(64, 3))

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        face = (inputs.face - 0.45) / 0.226
        return DirectionPrediction(self.output(self.features(face).mean((2, 3))))


class Parts(NamedTuple):
    """What is compared."""

    model: Redirector
    objective: Objective
    lower: Objective  # with VGG in bfloat16
    peer: PublishedHead
    batch: Batch


def head_step(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """A step of all samples together, against one by one.

    `fair` is the published way with its networks in bfloat16 and channels last. The limit is what the products of VGG in
    LPIPS and in the estimator would take by themselves: nine forward and six backward passes, and two and one. Weights are
    random, as for what is measured they may be. On a CPU both sides draw with our rasteriser, since theirs is CUDA's.
    """
    cuda = hardware.device.type == "cuda"
    shape = LEAST if small else PAPER if cuda else REDUCED
    parts = made(shape, hardware, ROWS if cuda else ROWS // 16)
    yield measured(parts, shape, rounds, hardware)


def measured(parts: Parts, shape: Shape, rounds: int, hardware: Hardware) -> Result:
    """The row; losses and gradients are compared first."""
    model, peer, device = parts.model, parts.peer, hardware.device
    theirs = torch.optim.Adam(peer.parameters(), lr=0.0)
    ours = {name: copy.deepcopy(model) for name in ("fp32", "bf16")}
    rules = {name: torch.optim.Adam(own.parameters(), lr=0.0, fused=True) for name, own in ours.items()}
    objectives = {"fp32": parts.objective, "bf16": parts.lower}
    found = {
        "published": published_gradients(peer, parts.batch, shape.samples),
        "fp32": our_gradients(ours["fp32"], parts.objective, parts.batch, hardware, amp=False),
    }
    difference = largest(
        float((one - other).abs().max() / other.abs().max())
        for one, other in zip(found["fp32"], found["published"], strict=True)
    )
    candidates: dict[str, Callable[[], object]] = {
        "published": partial(_one_by_one, peer, theirs, parts.batch, shape.samples, amp=False),
        "fair": partial(_one_by_one, peer, theirs, parts.batch, shape.samples, amp=True),
    }
    for name, own in ours.items():
        candidates[name] = partial(
            _together, own, rules[name], objectives[name], parts.batch, hardware, amp=name == "bf16"
        )
    timings = interleaved(candidates, rounds, device)
    return Result(
        name=f"second stage of a head of {shape.face_points} Gaussians with all losses, {shape.image} px, training",
        unit="heads",
        units=shape.samples,
        timings=timings,
        goals={"bf16": 4.0},
        difference=difference,
        tolerance=TOLERANCE,
        limits={name: _least(name, shape, rounds, device) / timings[name].best for name in ours},
    )


def _least(name: str, shape: Shape, rounds: int, device: torch.device) -> float:
    """Seconds that the multiplications of both networks of a step would take, at the rate of a large product."""
    passes = 15 * operations(shape.image) + 3 * operations(round(SEEN * shape.image))
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    return shape.samples * passes / product_rate(dtype, device, rounds)


def operations(side: int) -> float:
    """Of one pass of VGG-16 over a picture, a multiplication and an addition counted as two."""
    total, width = 0.0, 3
    for layer in cfgs["D"][:17]:
        if layer == "M":
            side //= 2
        else:
            total += 2 * 9 * width * int(layer) * side**2
            width = int(layer)
    return total


def made(shape: Shape, hardware: Hardware, rows: int = ROWS) -> Parts:
    """Model, losses and peer on the same random weights, and photographs to compare with."""
    torch.manual_seed(0)
    half, device = shape.width // 2, hardware.device
    backbone = GaussianHead(
        LearnedOriginRotation(half), face_points=shape.face_points, eye_points=shape.eye_points, width=shape.width
    )
    head = UNetRenderer(backbone.features, shape.drawn, shape.image, embedding=None)
    model = Redirector(backbone, Rasterizer(), head, Corrections(rows), shape.image, shape.drawn).to(device).train()
    network, estimator = lpips(), VGGDirection(max(16, round(SEEN * shape.image)))
    plain, lower = (objective(network, estimator, amp).to(device).train() for amp in (False, True))
    gaze: RedirectedGaze = plain.terms["redirected_gaze"]  # type: ignore[assignment]
    peer = PublishedHead(model, network, gaze.estimator).to(device)
    targets = photographs(shape)
    return Parts(model, plain, lower, peer, Batch(views(shape), targets, torch.arange(shape.samples)).to(device))


def objective(network: VGGLPIPS, estimator: nn.Module, amp: bool) -> Objective:
    """The losses of experiment=gazegaussian_paper from epoch 5 on."""
    return Objective(
        {
            **{f"l1_{region}": RegionL1(region) for region in ("head", "face", "eyes")},
            "ssim": SSIM(weight=0.1),
            "vgg": Perceptual(network, amp=amp, weight=0.1),
            "redirected_gaze": RedirectedGaze(estimator, pictures="raw", unit="deg", weight=0.1),
            "identity_offset": Offset("identity_offset", weight=1e-3),
            "expression_offset": Offset("expression_offset", weight=1.0),
            "camera_offset": Offset("camera_offset", weight=1e-3),
        }
    )


def photographs(shape: Shape) -> FaceTargets:
    """Noise, with a disc as head and two smaller ones as eyes."""
    draws = torch.Generator().manual_seed(1)
    side = torch.arange(shape.image) / shape.image
    y, x = side[:, None], side

    def disc(at: float, down: float, radius: float) -> Tensor:
        return ((x - at).square() + (y - down).square() < radius**2).expand(shape.samples, -1, -1).clone()

    image = torch.rand(shape.samples, 3, shape.image, shape.image, generator=draws)
    return FaceTargets(image, disc(0.5, 0.5, 0.4), disc(0.36, 0.4, 0.06), disc(0.64, 0.4, 0.06))


def vgg() -> nn.Module:
    """VGG-16 without its classifier, as torchvision begins to train it."""
    layers = make_layers(cfgs["D"], batch_norm=False)[:30]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layers


def lpips() -> VGGLPIPS:
    """LPIPS of such a VGG."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vgg16.pth"
        torch.save({f"features.{name}": value for name, value in vgg().state_dict().items()}, file)
        return VGGLPIPS(str(file))


def published_gradients(peer: PublishedHead, batch: Batch, samples: int) -> list[Tensor]:
    """The mean loss, and its gradients of where Gaussians are, of a layer of the renderer and of the tables."""
    peer.zero_grad(set_to_none=True)
    losses = []
    for one in _alone(batch, samples):
        loss, _ = peer(one.inputs, one.targets, amp=False)
        (loss / samples).backward()
        losses.append(loss.detach())
    return [torch.stack(losses).mean(), *_shown(peer.model)]


def our_gradients(model: Redirector, objective: Objective, batch: Batch, hardware: Hardware, amp: bool) -> list[Tensor]:
    """The same of ours."""
    model.zero_grad(set_to_none=True)
    with hardware.autocast(amp):
        prediction = model(batch.inputs)
    loss, _ = objective(prediction.float32(), batch, TIME)
    loss.backward()
    return [loss.detach(), *_shown(model)]


def _shown(model: Redirector) -> list[Tensor]:
    assert model.corrections is not None
    wanted = [model.backbone.face.splats.position, model.backbone.eyes.splats.feature]
    wanted += [model.head.blend.weight, model.corrections.expression.weight]  # type: ignore[union-attr,list-item]
    return [parameter.grad for parameter in wanted if parameter.grad is not None]


def _alone(batch: Batch, samples: int) -> list[Batch]:
    return [batch.map(lambda t, i=i: t[i : i + 1]) for i in range(samples)]


def _one_by_one(peer: PublishedHead, rule: torch.optim.Optimizer, batch: Batch, samples: int, amp: bool) -> None:
    for one in _alone(batch, samples):
        rule.zero_grad(set_to_none=True)
        loss, _ = peer(one.inputs, one.targets, amp=amp)
        loss.backward()
        rule.step()


def _together(
    model: Redirector,
    rule: torch.optim.Optimizer,
    objective: Objective,
    batch: Batch,
    hardware: Hardware,
    amp: bool,
) -> None:
    our_gradients(model, objective, batch, hardware, amp)
    rule.step()
