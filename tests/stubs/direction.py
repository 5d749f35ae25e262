"""A gaze-direction system in miniature: a frozen tower beside a trainable one, and experts whose use must be balanced."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.losses.loss import Loss
from gaze.types import Batch, DirectionInputs, DirectionPrediction, DirectionTargets, Progress


class Faces(Dataset):
    """Faces whose colour says which way they look.

    Args:
        split: "train" or "val".
        samples: how many.
    """

    def __init__(self, split: str, samples: int = 12) -> None:
        draws = torch.Generator().manual_seed({"train": 2, "val": 3}[split])
        gaze = torch.randn(samples, 3, generator=draws)
        self.gaze = gaze / gaze.norm(dim=1, keepdim=True)

    def __len__(self) -> int:
        return len(self.gaze)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[DirectionInputs, DirectionTargets]:
        noise = 0.0 if generator is None else 2 * torch.rand(3, 8, 8, generator=generator)
        face = (127.5 + 100 * self.gaze[index, :, None, None] + noise).expand(3, 8, 8).to(torch.uint8)
        return Batch(DirectionInputs(face.contiguous()), DirectionTargets(self.gaze[index]), torch.tensor(index))


class DirectionRegressor(nn.Module):
    """Features of two towers, mixed by a gate over two experts.

    The frozen tower has what training mode would spoil: batch statistics and dropout.

    Args:
        width: features of each tower.
    """

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.frozen = nn.Sequential(tower(width), nn.BatchNorm1d(width), nn.Dropout(0.5)).requires_grad_(False)
        self.tower = nn.Sequential(tower(width), nn.BatchNorm1d(width))
        self.gate = nn.Linear(width, 2)
        self.experts = nn.ModuleList(nn.Linear(2 * width, 3) for _ in range(2))

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        learned = self.tower(inputs.face)
        features = torch.cat([self.frozen(inputs.face), learned], dim=1)
        share = self.gate(learned).softmax(dim=1)
        gaze = sum(share[:, i, None] * expert(features) for i, expert in enumerate(self.experts))
        balance = len(self.experts) * share.mean(dim=0).square().sum()  # 1 when all are used alike
        return DirectionPrediction(gaze, balance=balance)


def tower(width: int) -> nn.Module:
    """Faces to `width` features."""
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Auxiliary(Loss):
    """What the model itself asks to minimise."""

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        assert prediction.balance is not None
        return prediction.balance
