"""The second stage of GazeGaussian: a training step over samples and views together, and pictures per second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from gaze.avatars.corrections import Corrections
from gaze.backbones.gaussian_head import GaussianHead
from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result, largest
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.hardware import Hardware
from gaze.heads.renderer_unet import UNetRenderer
from gaze.models.redirector import Redirector
from gaze.rasterize.rasterizer import Rasterizer
from gaze.types import FaceInputs, FacePrediction

DISTANCE, COVER = 8.0, 3.2  # of the camera, canonical units; focal length in sides of the picture
PUBLISHED = 74.0  # frames per second at 512 px (Wei et al., ICCV 2025, table 1), on their GPU
TOLERANCE = 1e-3  # of sums over a dozen views in another order


class Shape(NamedTuple):
    """How large a head is drawn."""

    image: int  # px
    drawn: int  # px, before it is refined
    face_points: int
    eye_points: int
    width: int
    samples: int  # in a step


LEAST = Shape(64, 32, 1_000, 60, 32, 4)
SMALL = Shape(128, 64, 5_000, 300, 64, 4)
PAPER = Shape(512, 128, 140_000, 2_000, 256, 4)


def redirector(rounds: int, hardware: Hardware, small: bool = False, shape: Shape | None = None) -> Iterator[Result]:
    """A step, then pictures: of all samples in one call, against one by one as the published code must take them."""
    shape = shape or (LEAST if small else PAPER if hardware.device.type == "cuda" else SMALL)
    model, inputs = head(shape).to(hardware.device), views(shape).to(hardware.device)
    alone = [inputs.map(lambda t, i=i: t[i : i + 1]) for i in range(shape.samples)]
    name = f"head of {shape.face_points} Gaussians, {shape.image} px"
    model.train()
    yield _measured(
        f"{name}, training step of {shape.samples} with three views each",
        "heads",
        {"published": partial(_step, model, alone), "together": partial(_step, model, [inputs])},
        shape.samples,
        (rounds, hardware),
    )
    model.eval()
    yield _measured(
        f"{name}, pictures of {shape.samples}; published: {PUBLISHED:g} a second at 512 px on a GPU",
        "pictures",
        {"published": partial(_draw, model, alone), "together": partial(_draw, model, [inputs])},
        shape.samples,
        (rounds, hardware),
    )


def head(shape: Shape) -> Redirector:
    """The second stage with its U-Net, before any training."""
    torch.manual_seed(0)
    backbone = GaussianHead(
        ExplicitRotation(width=shape.width // 2),
        face_points=shape.face_points,
        eye_points=shape.eye_points,
        width=shape.width,
    )
    renderer = UNetRenderer(backbone.features, shape.drawn, shape.image)
    return Redirector(backbone, Rasterizer(), renderer, Corrections(shape.samples), shape.image, shape.drawn)


def views(shape: Shape) -> FaceInputs:
    """Samples whose heads fill most of the picture."""
    draws, b = torch.Generator().manual_seed(0), shape.samples
    place = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    place[2, 3] = DISTANCE
    focal, half = COVER * shape.image, shape.image / 2
    camera = torch.tensor([[focal, 0, half], [0, focal, half], [0, 0, 1]])
    return FaceInputs(
        gaze=0.2 * torch.randn(b, 2, generator=draws),
        identity=torch.randn(b, 80, generator=draws),
        expression=torch.randn(b, 64, generator=draws),
        pose=0.1 * torch.randn(b, 6, generator=draws),
        scale=torch.ones(b),
        world_to_camera=place.expand(b, 4, 4).clone(),
        camera=camera.expand(b, 3, 3).clone(),
        sample=torch.arange(b),
    )


def _step(model: Redirector, batches: list[FaceInputs]) -> tuple[Tensor, Tensor]:
    model.zero_grad(set_to_none=True)
    images = []
    for batch in batches:
        shown: FacePrediction = model(batch)
        assert shown.face is not None and shown.eyes is not None  # noqa: PT018
        loss = (shown.image.square().sum() + shown.face.square().sum() + shown.eyes.square().sum()) / 1e4
        loss.backward()
        images.append(shown.image.detach())
    place = model.backbone.face.splats.position.grad
    assert place is not None
    return torch.cat(images), place


@torch.no_grad()
def _draw(model: Redirector, batches: list[FaceInputs]) -> tuple[Tensor, ...]:
    return (torch.cat([model(batch).image for batch in batches]),)


def _measured(
    name: str,
    unit: str,
    candidates: dict[str, Callable[[], tuple[Tensor, ...]]],
    units: float,
    how: tuple[int, Hardware],
) -> Result:
    rounds, hardware = how
    answers = {variant: call() for variant, call in candidates.items()}
    difference = largest(
        float((ours - theirs).abs().max() / theirs.abs().max())
        for ours, theirs in zip(answers["together"], answers["published"], strict=True)
    )
    return Result(
        name=name,
        unit=unit,
        units=units,
        timings=interleaved(candidates, rounds, hardware.device),
        goals={"together": 1.0},
        difference=difference,
        tolerance=TOLERANCE,
        limits={},
    )
