"""AlexNet's normalisation across channels, as one product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ResponseNorm(nn.Module):
    """Each cell over (1 + alpha / size * the sum of squares of its channel and those beside it) to the power of 3/4.

    What `nn.LocalResponseNorm` computes (Krizhevsky et al., NIPS 2012), to 1e-6, and to 2 % where autocast has it done in
    bfloat16. There channels are summed by a pooling in three dimensions and raised by a general power; here a 1 x 1
    convolution with a band of ones sums them, which is one product of matrices, and the power is made of two roots.

    Args:
        channels: of the maps.
        size: channels that are summed, odd.
        alpha: of the sum.
    """

    band: Tensor

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4) -> None:
        super().__init__()
        channel = torch.arange(channels)
        beside = (channel[:, None] - channel).abs() <= size // 2
        self.register_buffer("band", beside[:, :, None, None].float(), persistent=False)
        self.scale = (alpha / size) ** 0.5

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        # Scaled before they are squared: in float16 the square of 256 is infinite, and times a zero of the band it is NaN
        root = (F.conv2d((maps * self.scale).square(), self.band) + 1).rsqrt()
        return maps * (root * root.sqrt())
