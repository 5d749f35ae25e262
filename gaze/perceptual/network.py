"""What compares pictures by the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class PerceptualNetwork(nn.Module):
    """A frozen network whose features say how alike two pictures are.

    Features and distances are apart, so that those of a photograph are computed once however many pictures are compared
    with it.

    Attributes:
        title: see `gaze.losses.loss.Loss`.
    """

    title: str = ""

    def train(self, mode: bool = True) -> PerceptualNetwork:
        """Stay in eval mode: what compares must not change."""
        return super().train(False)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The features of RGB pictures in [0, 1], a map for each level, from fine to coarse."""
        raise NotImplementedError

    def distance(self, found: Sequence[Tensor], truth: Sequence[Tensor]) -> Float[Tensor, "b"]:
        """How far the features of each picture are from those of another; 0 for the same."""
        raise NotImplementedError


def resized(image: Float[Tensor, "b 3 H W"], size: Sequence[int] | None) -> Float[Tensor, "b 3 h w"]:
    """Pictures at (height, width) px, or as they are if that is None."""
    if size is None or tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, (size[0], size[1]), mode="bilinear", antialias=True)


def frozen(network: Any) -> Any:
    """The network without gradients for its parameters, in eval mode."""
    return network.requires_grad_(False).eval()
