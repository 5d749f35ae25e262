"""Where a cell is, as numbers a transformer can add to its tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoid_2d(
    channels: int, size: tuple[int, int], *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "channels h w"]:
    """The fixed sines and cosines of GazeLLE's decoder: the first half of the channels tell x, the second y.

    Positions are integer cell numbers, not fractions, so any grid continues the same pattern. It costs
    h + w rows of sines, little enough to be computed in every forward.

    Raises:
        ValueError: `channels` is not a multiple of 4 (sine and cosine, x and y).
    """
    if channels % 4:
        raise ValueError(f"a position of {channels} channels; expected a multiple of 4: sine and cosine, of x and y")
    h, w = size
    exponent = torch.arange(0, channels // 2, 2, device=device, dtype=torch.float32) / (channels // 2)
    frequency = 10000.0**-exponent

    def axis(cells: int) -> Float[Tensor, "half cells"]:
        angle = frequency[:, None] * torch.arange(cells, device=device, dtype=torch.float32)
        return torch.stack([angle.sin(), angle.cos()], 1).flatten(0, 1)

    x = axis(w)[:, None, :].expand(-1, h, -1)
    y = axis(h)[:, :, None].expand(-1, -1, w)
    return torch.cat([x, y]).to(dtype)
