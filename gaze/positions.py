"""Where a cell is, as numbers a transformer can add to its tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoid_2d(
    channels: int, size: tuple[int, int], *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "channels h w"]:
    """The fixed sines and cosines of GazeLLE's decoder: the first half of the channels tell x, the second y.

    Positions are integer cell numbers, not fractions, so any grid continues the same pattern. It costs
    h + w rows of sines, little enough to be computed in every forward.

    Raises:
        ValueError: `channels` is not a multiple of 4 (sine and cosine, x and y).
    """
    _check(channels)
    h, w = size
    exponent = torch.arange(0, channels // 2, 2, device=device, dtype=torch.float32) / (channels // 2)
    frequency = 10000.0**-exponent

    def axis(cells: int) -> Float[Tensor, "half cells"]:
        angle = frequency[:, None] * torch.arange(cells, device=device, dtype=torch.float32)
        return torch.stack([angle.sin(), angle.cos()], 1).flatten(0, 1)

    x = axis(w)[:, None, :].expand(-1, h, -1)
    y = axis(h)[:, :, None].expand(-1, -1, w)
    return torch.cat([x, y]).to(dtype)


class Positions(nn.Module):
    """`sinusoid_2d` of tokens, row by row of their grid, made of the tokens: nothing in its graph names a device.

    Args:
        channels: of the tokens.

    Raises:
        ValueError: they are not a multiple of 4.
    """

    frequency: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        _check(channels)
        exponent = torch.arange(0, channels // 2, 2, dtype=torch.float32) / (channels // 2)
        self.register_buffer("frequency", 10000.0**-exponent, persistent=False)

    def forward(self, tokens: Float[Tensor, "b k d"], width: int) -> Float[Tensor, "k d"]:
        """The positions of tokens whose grid is so wide."""
        number = torch.ones_like(tokens[0, :, :1], dtype=torch.float32).cumsum(0) - 1
        row = (number / width).floor()
        angles = [cells * self.frequency for cells in (number - row * width, row)]
        both = [torch.stack([angle.sin(), angle.cos()], -1).flatten(1) for angle in angles]
        return torch.cat(both, 1).to(tokens.dtype)


def _check(channels: int) -> None:
    if channels % 4:
        raise ValueError(f"a position of {channels} channels; expected a multiple of 4: sine and cosine, of x and y")
