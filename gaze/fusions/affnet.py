"""AFF-Net: eyes that are read with the face and its place in mind."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.affnet_face import SqueezeExcite
from gaze.fusions.tokens import Numbers, check_cells, given
from gaze.heads.point import perceptron
from gaze.types import ScreenInputs


class AdaptiveGroupNorm(nn.Module):
    """A group norm whose scale and shift come from a vector that describes the sample.

    As published it divides by the root of the unbiased variance plus epsilon; `nn.GroupNorm` takes the biased one.
    """

    def __init__(self, channels: int, groups: int, factor: int) -> None:
        super().__init__()
        self.groups = groups
        self.style = nn.Sequential(nn.Linear(factor, 2 * channels), nn.LeakyReLU())

    def forward(self, maps: Float[Tensor, "b c h w"], factor: Float[Tensor, "b f"]) -> Float[Tensor, "b c h w"]:
        # Epsilon is too small for half precision, and so are sums over a group
        grouped = rearrange(maps.float(), "b (g c) h w -> b g c h w", g=self.groups)
        dims = (2, 3, 4)
        spread = (grouped.var(dims, correction=1, keepdim=True) + 1e-8).sqrt()
        normal = ((grouped - grouped.mean(dims, keepdim=True)) / spread).flatten(1, 2).to(maps.dtype)
        scale, shift = rearrange(self.style(factor), "b (two c) -> two b c 1 1", two=2)
        return normal * (1 + scale) + shift


class AFFNet(nn.Module):
    """Adaptive feature fusion (Bao et al., ICPR 2020): the face's trunk, and towers for the eyes that it steers.

    The eyes have no trunk in `model.trunks`: each of their norms depends on the face and the boxes. Their crops are
    112 px, the right one mirrored. The published code's crop jitter moves x and y of a box by one number and only part
    of the boxes with it; ours moves all of them (gaze/datasets).

    Args:
        channels: of the face's map.
        cells: of that map.
    """

    def __init__(self, channels: Mapping[str, int], cells: int = 25) -> None:
        super().__init__()
        if set(channels) != {"face"}:
            raise ValueError(f"AFF-Net has a trunk for the face alone, not for {', '.join(channels)}; see model.trunks")
        self.cells = cells
        self.face = perceptron(channels["face"] * cells, (128, 64), nn.LeakyReLU)
        self.boxes = Numbers(12, (64, 96, 128, 64), nn.LeakyReLU)
        self.eye = EyeTower(factor=128)
        self.both = SqueezeExcite(256)
        self.merge = nn.Conv2d(256, 64, 3, stride=2, padding=1)
        self.norm = AdaptiveGroupNorm(64, 8, 128)
        self.merged = SqueezeExcite(64)
        self.eyes = perceptron(64 * 25, (128,), nn.LeakyReLU)
        self.channels = 256

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """Eyes, face and boxes, one behind the other."""
        check_cells(features["face"], self.cells, "fusion.cells")
        face, boxes = self.face(features["face"].flatten(1)), self.boxes(given(inputs, "geometry"))
        factor = torch.cat([face, boxes], 1)
        crops = torch.cat([given(inputs, "left_eye"), given(inputs, "right_eye").flip(-1)])
        both = self.eye(crops, torch.cat([factor, factor]))
        left, right = both.unflatten(0, (2, factor.shape[0])).unbind(0)  # a chunk would fix the number of samples
        maps = self.merge(self.both(torch.cat([left, right], 1)))
        maps = self.merged(self.norm(maps, factor).relu())
        check_cells(maps, 25, "dataset.eye_size to 112, or the fusion")
        return torch.cat([self.eyes(maps.flatten(1)), face, boxes], 1)


class EyeTower(nn.Module):
    """Convolutions from an eye of 112 px to 128 maps of 10 x 10, normalised with regard to the factor."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 24, 5, stride=2), nn.GroupNorm(3, 24), nn.ReLU(), nn.Conv2d(24, 48, 5))
        self.second = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2), SqueezeExcite(48), nn.Conv2d(48, 64, 5, padding=1))
        self.third = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2))
        self.fourth = nn.Conv2d(64, 128, 3, padding=1)
        self.fifth = nn.Sequential(nn.ReLU(), SqueezeExcite(128), nn.Conv2d(128, 64, 3, padding=1))
        self.norms = nn.ModuleList(
            AdaptiveGroupNorm(channels, groups, factor) for channels, groups in ((48, 6), (64, 8), (128, 16), (64, 8))
        )

    def forward(self, image: Float[Tensor, "b 3 H W"], factor: Float[Tensor, "b f"]) -> Float[Tensor, "b c h w"]:
        """Early and late maps, channel upon channel."""
        maps = self.second(self.norms[0](self.first(image), factor))
        early = self.third(self.norms[1](maps, factor))
        late = self.fifth(self.norms[2](self.fourth(early), factor))
        return torch.cat([early, self.norms[3](late, factor).relu()], 1)
