"""The smallest problem that learns: a straight line, seen through noise that augmentation draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchmetrics import Metric

from gaze.datasets.dataset import Dataset
from gaze.losses.loss import Loss
from gaze.types import Batch, Progress, Record


@dataclass(frozen=True)
class Point(Record):
    """A position, or what is measured there."""

    x: Float[Tensor, "*b d"]


class Line(Dataset):
    """y = 2 x0 - x1, at fixed positions; views of it add noise to the position."""

    def __init__(self, split: str, samples: int = 48) -> None:
        places = torch.Generator().manual_seed({"train": 0, "val": 1}[split])
        self.x = torch.randn(samples, 2, generator=places)

    def __len__(self) -> int:
        return len(self.x)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        x = self.x[index]
        y = (x * torch.tensor([2.0, -1.0])).sum(dim=-1, keepdim=True)
        if generator is not None:
            x = x + 0.01 * torch.randn(2, generator=generator)
        return Batch(Point(x), Point(y), torch.tensor(index))


class Net(nn.Module):
    """Two layers with everything that could spoil an exact resume: dropout, batch norm, a frozen part."""

    def __init__(self, width: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = Blocks(width, dropout)
        self.head = nn.Linear(width, 1)

    def forward(self, inputs: Point) -> Point:
        return Point(self.head(self.backbone(inputs.x)))


class Blocks(nn.Module):
    """A stem and two residual blocks that can thaw."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(2, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))
            for _ in range(2)
        )

    def blocks(self) -> list[list[nn.Parameter]]:
        """Parameters of each block; the stem's with the first."""
        return [[*self.stem.parameters(), *self.layers[0].parameters()], list(self.layers[1].parameters())]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)
        return x


class Squared(Loss):
    """Mean squared error; `break_at` makes it NaN at one step, to see what happens."""

    def __init__(self, weight: float = 1.0, break_at: Int[Tensor, ""] | int = -1) -> None:
        super().__init__(weight)
        self.break_at = break_at

    def forward(self, prediction: Point, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        loss = (prediction.x - batch.targets.x).square().mean()
        broken = torch.is_grad_enabled() and progress.step == self.break_at
        return loss * float("nan") if broken else loss


class Seen(Metric):
    """Mean absolute error and how many samples it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Point, targets: Point) -> None:
        """Add a batch."""
        self.total += (prediction.x - targets.x).abs().sum()
        self.count += len(prediction.x)

    def compute(self) -> dict[str, Tensor]:
        """`mae` and `seen`."""
        return {"mae": self.total / self.count, "seen": self.count}
