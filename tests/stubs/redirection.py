"""A gaze-redirection system in miniature: a renderer in two stages, with a learned correction for each sample."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.head_views import NO_CORRECTION
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, DirectionInputs, FaceInputs, FacePrediction, FaceTargets, Progress

SIDE = 8  # px of an image


class Views(Dataset):
    """Images that brighten with the pitch and redden with the yaw; each of the training ones is a little off in its own way.

    Args:
        split: "train" or "val".
        samples: how many.
    """

    def __init__(self, split: str, samples: int = 10) -> None:
        draws = torch.Generator().manual_seed({"train": 4, "val": 5}[split])
        self.gaze = torch.rand(samples, 2, generator=draws) - 0.5
        self.off = 0.1 * torch.randn(samples, 3, generator=draws) * (split == "train")
        self.trained = split == "train"

    def __len__(self) -> int:
        return len(self.gaze)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[FaceInputs, FaceTargets]:
        pitch, yaw = self.gaze[index].tolist()
        colour = torch.tensor([0.5 + pitch / 2 + yaw / 4, 0.5 + pitch / 2, 0.5]) + self.off[index]
        image = (255 * colour.clamp(0, 1)).to(torch.uint8)[:, None, None].expand(3, SIDE, SIDE).contiguous()
        row = torch.tensor(index if self.trained else NO_CORRECTION)
        inputs = FaceInputs(
            gaze=self.gaze[index],
            identity=torch.zeros(1),
            expression=torch.zeros(1),
            pose=torch.zeros(6),
            scale=torch.tensor(1.0),
            world_to_camera=torch.eye(4),
            camera=torch.eye(3),
            sample=row,
        )
        return Batch(inputs, FaceTargets(image, torch.ones(SIDE, SIDE, dtype=torch.bool)), torch.tensor(index))


class Renderer(nn.Module):
    """Gaze, head pose and the sample's own correction to an image.

    Args:
        samples: rows of corrections.
        width: hidden features.
        refine: the second stage: convolutions that sharpen what the first renders.
    """

    def __init__(self, samples: int, width: int = 8, refine: bool = False) -> None:
        super().__init__()
        self.corrections = nn.Embedding(samples, 3)
        nn.init.zeros_(self.corrections.weight)
        self.paint = nn.Sequential(nn.Linear(11, width), nn.GELU(), nn.Linear(width, 3 * (SIDE // 2) ** 2))
        self.refine = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1)) if refine else None

    def forward(self, inputs: FaceInputs) -> FacePrediction:
        known = inputs.sample != NO_CORRECTION
        correction = self.corrections(inputs.sample.clamp(min=0)) * known[:, None]
        painted = self.paint(torch.cat([inputs.gaze, inputs.pose, correction], dim=1))
        image = rearrange(painted, "b (c h w) -> b c h w", c=3, h=SIDE // 2)
        image = nn.functional.interpolate(image, scale_factor=2) if self.refine is None else self.refine(image)
        return FacePrediction(image.sigmoid())


class GazeConsistency(Loss):
    """Does the frozen model of another run see, in what was rendered, the gaze of the photograph?

    Args:
        estimator: a finished model from `DirectionInputs` to `DirectionPrediction`.
        weight: a number or a schedule.
    """

    def __init__(self, estimator: nn.Module, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.estimator = estimator.requires_grad_(False).eval()

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        with torch.no_grad():
            wanted = self.estimator(DirectionInputs(batch.targets.image)).gaze
        return (self.estimator(DirectionInputs(prediction.image)).gaze - wanted).square().mean()


class Edges(Loss):
    """Differences of neighbouring pixels, as in the photograph."""

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        return (gradients(prediction.image) - gradients(batch.targets.image)).abs().mean()


def gradients(image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H w"]:
    """From each pixel to the one on its right."""
    return image.diff(dim=-1)
