"""What a model of directions must beat: guesses that look at no eye, and a linear reading of frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import Subset

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.hardware import Hardware
from gaze.heads.direction import unit
from gaze.loading import release
from gaze.types import Batch

RIDGE_SAMPLES = 20_000  # of training, evenly taken; more do not move a few thousand weights
PENALTIES = tuple(10.0**power for power in range(-6, 3))  # lambda as a share of the features' mean square
HELD = 5  # without a validation split, every fifth person of training chooses the penalty


def train_mean(train: DirectionLabels, test: DirectionLabels) -> Float[Tensor, "n 3"]:
    """The mean direction of training for every sample: it is told nothing."""
    return unit(train.gaze.double().mean(0, keepdim=True)).expand(len(test), 3)


def head_direction(test: DirectionLabels) -> Float[Tensor, "n 3"]:
    """Where each head points, as labels say; NaN where they don't."""
    return pitch_yaw_to_vector(test.head.double())


class Ridge(NamedTuple):
    """A linear map of features to directions."""

    weights: Float[Tensor, "e 3"]
    features: Float[Tensor, "e"]  # their mean in training
    gaze: Float[Tensor, "3"]  # its mean
    penalty: float

    def __call__(self, features: Float[Tensor, "n e"]) -> Float[Tensor, "n 3"]:
        return unit(self.gaze + (features.double() - self.features) @ self.weights)


def fit_ridge(
    features: Float[Tensor, "n e"],
    gaze: Float[Tensor, "n 3"],
    val_features: Float[Tensor, "v e"],
    val_gaze: Float[Tensor, "v 3"],
) -> Ridge:
    """W = (Z'Z + lambda I)^-1 Z'Y about the means, of the lambda with the smallest mean angle in validation."""
    z, y = features.double(), gaze.double()
    middle, mean = z.mean(0), y.mean(0)
    z = z - middle
    values, vectors = torch.linalg.eigh(z.T @ z)
    turned = vectors.T @ (z.T @ (y - mean))
    scale = float(values.clamp(min=0).mean()) or 1.0
    found = [
        Ridge(vectors @ (turned / (values.clamp(min=0) + share * scale)[:, None]), middle, mean, share * scale)
        for share in PENALTIES
    ]
    return min(found, key=lambda ridge: float(angular_error(ridge(val_features), val_gaze.double()).mean()))


def embedder(model: nn.Module) -> nn.Module | None:
    """The frozen image tower of a model, if it has one: `.clip`, which gives `embed`."""
    tower = getattr(model, "clip", None)
    return tower if isinstance(tower, nn.Module) else None


def embeddings(
    tower: nn.Module, data: Dataset, rows: Sequence[int], hardware: Hardware, batch_size: int
) -> Float[Tensor, "n e"]:
    """The embeddings of these samples' faces; of clips, those of their middle frames."""
    tower = tower.to(hardware.device).eval()
    loader = hardware.loader(_Some(data, rows), batch_size=batch_size)
    found = []
    with torch.no_grad():
        for batch in map(hardware.place, loader):
            face = batch.inputs.face
            face = face if face.dim() == 4 else face[:, face.shape[1] // 2]
            found.append(tower(face).embed.float().cpu())
    release(loader)
    return torch.cat(found)


def ridge_guesses(
    tower: nn.Module, train: Dataset, val: Dataset | None, test: Dataset, hardware: Hardware, batch_size: int = 64
) -> Float[Tensor, "n 3"]:
    """What ridge regression on a frozen tower's embeddings says of a test split; see `ridge_of`."""
    ridge = ridge_of(tower, train, val, hardware, batch_size)
    return ridge(embeddings(tower, test, range(len(test)), hardware, batch_size))


def ridge_of(
    tower: nn.Module,
    train: Dataset,
    val: Dataset | None,
    hardware: Hardware,
    batch_size: int = 64,
    samples: int = RIDGE_SAMPLES,
) -> Ridge:
    """Ridge regression on a tower's embeddings of at most so many samples.

    Args:
        val: chooses the penalty; None: people of training do, who then train no longer.
    """
    labels: DirectionLabels = train.labels  # type: ignore[attr-defined]
    rows = evenly(len(train), samples)
    seen = embeddings(tower, train, rows.tolist(), hardware, batch_size)
    gaze, person = labels.gaze[rows], labels.subject[rows]
    if val is None:
        held = person % HELD == HELD - 1
        held = held if held.any() and not held.all() else torch.arange(len(rows)) % HELD == HELD - 1
        others = (seen[held], gaze[held])
        seen, gaze = seen[~held], gaze[~held]
    else:
        looked = evenly(len(val), samples)
        others = (embeddings(tower, val, looked.tolist(), hardware, batch_size), val.labels.gaze[looked])  # type: ignore[attr-defined]
    return fit_ridge(seen, gaze, *others)


class _Some(Subset):
    """Some samples of a data set."""

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        return self.dataset[self.indices[index]]

    __getitems__ = None  # type: ignore[assignment]  # samples are collated by the loader


def evenly(count: int, most: int) -> Int[Tensor, "m"]:
    """Rows of a split, at most so many, from first to last."""
    return torch.linspace(0, count - 1, min(count, most), dtype=torch.float64).round().long().unique()
