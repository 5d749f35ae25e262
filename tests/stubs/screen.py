"""A point-of-gaze system in miniature: several streams, any of which may be absent, and one trunk for both eyes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.types import Batch, ScreenInputs, ScreenPrediction, ScreenTargets

GEOMETRY = 12  # three boxes


class Screens(Dataset):
    """Crops whose brightness says where the user looks.

    Args:
        split: "train" or "val".
        streams: fields of `ScreenInputs` that the files hold; all others are None.
        samples: how many.
    """

    def __init__(self, split: str, streams: Sequence[str], samples: int = 12) -> None:
        draws = torch.Generator().manual_seed({"train": 0, "val": 1}[split])
        self.streams = list(streams)
        self.points = 8.0 * torch.rand(samples, 2, generator=draws) - 4.0

    def __len__(self) -> int:
        return len(self.points)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[ScreenInputs, ScreenTargets]:
        x, y = self.points[index].tolist()
        noise = 0 if generator is None else int(torch.randint(3, (), generator=generator))
        crop = torch.full((3, 8, 8), int(128 + 16 * x) + noise, dtype=torch.uint8)
        crop[1] = int(128 + 16 * y)
        everything = {
            "face": crop,
            "left_eye": crop[:, :6, :6].contiguous(),
            "right_eye": crop[:, :6, :6].contiguous(),
            "geometry": torch.full((GEOMETRY,), 0.25),
            "imu": torch.zeros(6),
        }
        inputs = ScreenInputs(**{name: everything[name] for name in self.streams})
        return Batch(inputs, ScreenTargets(self.points[index]), torch.tensor(index))


class ScreenRegressor(nn.Module):
    """Trunks for the streams that are used, and a linear fusion of what they find.

    Args:
        streams: fields of `ScreenInputs` to use; whatever else a batch holds is ignored.
        width: features of each stream.
    """

    def __init__(self, streams: Sequence[str], width: int = 4) -> None:
        super().__init__()
        self.streams = list(streams)
        self.eye = trunk(width)
        self.face = trunk(width) if "face" in streams else None
        self.geometry = nn.Linear(GEOMETRY, width) if "geometry" in streams else None
        self.fuse = nn.Linear(width * len(self.streams), 2)

    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        encoders = {"left_eye": self.eye, "right_eye": self.eye, "face": self.face, "geometry": self.geometry}
        found = [encoders[name](getattr(inputs, name)) for name in self.streams]  # type: ignore[misc]
        return ScreenPrediction(self.fuse(torch.cat(found, dim=1)))


def trunk(width: int) -> nn.Module:
    """Crops of any size to `width` features."""
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Trunk(nn.Module):
    """A trunk with as many channels and cells as another, for models at toy size."""

    def __init__(self, channels: int, cells: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(nn.Conv2d(3, channels, 3), nn.GELU(), nn.AdaptiveAvgPool2d(tuple(cells)))

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        return self.layers(image)
