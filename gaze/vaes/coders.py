"""The two halves of a KL autoencoder: pictures to a distribution of latents, and latents to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from gaze.vaes.blocks import EPS, Down, Middle, Up


class Encoder(nn.Module):
    """Pictures in [-1, 1] to means and log variances of latents, behind each other along the channels.

    Args:
        widths: channels of each scale, finest first; each next one has half the height and width.
        layers: residual blocks of each scale.
        latent_channels: z.
        groups: of the norms.
        attention: between the two residual blocks in the middle.
    """

    def __init__(self, widths: Sequence[int], layers: int, latent_channels: int, groups: int, attention: bool) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        steps = [*pairwise([widths[0], *widths])]
        self.down_blocks = nn.ModuleList(
            [Down(a, b, layers, groups, last=i == len(steps) - 1) for i, (a, b) in enumerate(steps)]
        )
        self.mid_block = Middle(widths[-1], groups, attention)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * latent_channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b zz hz wz"]:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        out: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))
        return out


class Decoder(nn.Module):
    """Latents to pictures, about [-1, 1].

    Args:
        widths: channels of each scale, finest first, as the encoder's.
        layers: residual blocks of each scale of the *encoder*; here there is one more.
        latent_channels, groups, attention: as the encoder's.
        recompute: keep only what goes into each scale for the backward pass, and compute the rest again then: a picture
            of 512 px by a decoder of published size otherwise keeps several GB.
    """

    def __init__(
        self,
        widths: Sequence[int],
        layers: int,
        latent_channels: int,
        groups: int,
        attention: bool,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        rising = [*reversed(widths)]
        self.conv_in = nn.Conv2d(latent_channels, rising[0], 3, padding=1)
        self.mid_block = Middle(rising[0], groups, attention)
        steps = [*pairwise([rising[0], *rising])]
        self.up_blocks = nn.ModuleList(
            [Up(a, b, layers + 1, groups, last=i == len(steps) - 1) for i, (a, b) in enumerate(steps)]
        )
        self.conv_norm_out = nn.GroupNorm(groups, rising[-1], EPS)
        self.conv_out = nn.Conv2d(rising[-1], 3, 3, padding=1)

    def forward(self, latent: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 H W"]:
        x = self.mid_block(self.conv_in(latent))
        for block in self.up_blocks:
            if self.recompute and torch.is_grad_enabled() and x.requires_grad:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        out: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return out
