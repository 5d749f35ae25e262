"""Latent attention: a few learned vectors read the tokens of all streams, at a cost linear in their number."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.tokens import MapTokens, NumberToken, everything, given
from gaze.types import ScreenInputs


class LatentFusion(nn.Module):
    """A Perceiver's bottleneck (Jaegle et al., ICML 2021) between the streams and the head.

    Tokens have a role and no position, so crops may have any size: convolutional trunks pad with zeros, and
    their cells know where they are. Boxes and the roll of the device are one token more.

    Args:
        channels: of the maps, by stream.
        width: of latents and tokens.
        latents: how many.
        heads: of the attention.
        hidden: width of the perceptrons.
        layers: in which the latents look at one another, after they have read the tokens.
        dropout: in all layers.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        width: int = 256,
        latents: int = 8,
        heads: int = 4,
        hidden: int = 512,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = MapTokens(channels, width)
        self.numbers = NumberToken(13, 64, width)
        self.role = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.latents = nn.Parameter(torch.randn(1, latents, width) * 0.02)
        self.read = Block(width, heads, hidden, cross=True, dropout=dropout)
        self.layers = nn.ModuleList(Block(width, heads, hidden, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.channels = width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The mean latent."""
        streams = list(self.tokens(features).values())
        numbers, there = self.numbers(torch.cat([given(inputs, "geometry"), _roll(inputs)[:, None]], 1))
        tokens = torch.cat([*streams, (numbers + self.role).to(streams[0].dtype)], 1)
        seen = torch.cat([*(everything(x) for x in streams), there], 1)
        found = self.read(self.latents.expand(tokens.shape[0], -1, -1), tokens, seen=seen)
        for layer in self.layers:
            found = layer(found)
        return self.norm(found.mean(1))


def _roll(inputs: ScreenInputs) -> Float[Tensor, "b"]:
    """Of the device, rad: 0 upright; 0 where no sensor tells.

    Gravity is (0, -1, 0) g in a device held upright and lies along z in one that lies flat, where no roll is.
    """
    if inputs.imu is None:
        return torch.zeros_like(given(inputs, "geometry")[:, 0])
    across, down = inputs.imu[:, 0], -inputs.imu[:, 1]
    told = (across.abs() + down.abs() > 0.1) & ~across.isnan() & ~down.isnan()
    if inputs.imu_valid is not None:
        told = told & (inputs.imu_valid > 0.5)
    return torch.where(told, torch.atan2(across, down), torch.zeros_like(across))
