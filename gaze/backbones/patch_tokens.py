"""The patch tokens of a vision transformer as a feature map: of its last block, of an earlier one, or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.layouts import vit_state
from gaze.backbones.normalization import Normalize


class PatchTokens(nn.Module):
    """What all transformer backbones share: tokens in, a map of the patches out.

    Any image size that is a multiple of the patch size works. Rotary positions (DINOv3) are computed
    for the grid at hand; a learned table (DINOv2) is kept at its published size and resampled in each
    forward as DINOv2's own code does, which timm does not (tokens differ by up to a tenth of their size).

    Args:
        vit: a VisionTransformer or Eva of timm's, with its first weights.
        interaction_indexes: blocks, from 0 and rising, to look at. The network ends with the last of them,
            and what follows is dropped; None: all blocks, which gives what the published models use.
        fuse: give the tokens of all these blocks, each after the final norm, channel upon channel. The
            projection of a head then learns how much of each it takes, and nothing else is added.
            Otherwise only the last of them, as the public GazeLLE code does with this option.

    Raises:
        ValueError: the blocks are not there, or there is nothing to fuse.
    """

    def __init__(self, vit: Any, interaction_indexes: Sequence[int] | None = None, fuse: bool = False) -> None:
        super().__init__()
        chosen = check_levels(interaction_indexes, len(vit.blocks), fuse)
        vit.blocks = vit.blocks[: chosen[-1] + 1]
        self.vit: Any = vit  # timm annotates neither of them enough
        self.levels = chosen if fuse else chosen[-1:]
        self.channels: int = vit.embed_dim * len(self.levels)
        self.stride: int = vit.patch_embed.patch_size[0]
        self.normalize = Normalize()

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / stride, w = W / stride."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the patch size {self.stride}: "
                f"set dataset.image_size to [{_multiple(height, self.stride)}, {_multiple(width, self.stride)}]"
            )
        tokens, rope = self._embed(self.normalize(image))
        rotary = {} if rope is None else {"rope": rope}
        kept = []
        for number, block in enumerate(self.vit.blocks):
            tokens = block(tokens, **rotary)
            if number in self.levels:
                kept.append(self.vit.norm(tokens)[:, self.vit.num_prefix_tokens :])
        return rearrange(torch.cat(kept, -1), "b (h w) c -> b c h w", h=height // self.stride)

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, first block to last: embeddings go with the first, the final norm with the last."""
        groups = [list(block.parameters()) for block in self.vit.blocks]
        inside = {id(p) for group in groups for p in group}
        after = list(self.vit.norm.parameters())
        last = {id(p) for p in after}
        before = [p for p in self.vit.parameters() if id(p) not in inside | last]
        groups[0] = before + groups[0]
        groups[-1] = groups[-1] + after
        return groups

    def published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a public file of this network, under the names of this module."""
        return {f"vit.{name}": value for name, value in vit_state(state, self.vit).items()}

    def _embed(self, image: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b k c"], Tensor | None]:
        """Tokens before the first block, and the rotation of each patch."""
        vit = self.vit
        patches = vit.patch_embed(image)
        if vit.pos_embed is None:
            tokens, rope = vit._pos_embed(patches)
            return vit.norm_pre(tokens), rope
        position = resample_positions(vit.pos_embed, (patches.shape[1], patches.shape[2]))
        class_token = vit.cls_token.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([class_token, rearrange(patches, "b h w c -> b (h w) c")], 1) + position
        return vit.norm_pre(tokens), None


def check_levels(indexes: Sequence[int] | None, depth: int, fuse: bool) -> list[int]:
    """The numbers of the blocks to look at, of `depth` there are."""
    chosen = [depth - 1] if indexes is None else list(indexes)
    rising = all(a < b for a, b in pairwise(chosen))
    if not chosen or not rising or chosen[0] < 0 or chosen[-1] >= depth:
        raise ValueError(
            f"backbone.interaction_indexes is {chosen}; expected rising numbers of blocks, from 0 to {depth - 1}"
        )
    if fuse and len(chosen) < 2:
        raise ValueError(
            f"backbone.fuse is on with one block, {chosen}; name several in backbone.interaction_indexes, or turn it off"
        )
    return chosen


def resample_positions(table: Float[Tensor, "1 k c"], grid: tuple[int, int]) -> Float[Tensor, "1 k2 c"]:
    """DINOv2's table of positions, class token first, for another grid.

    Bicubic without antialiasing, with the scale (cells + 0.1) / side instead of the sizes: the published
    models were trained with that, and their tokens change visibly without it.
    """
    side = round((table.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return table
    h, w = grid
    patches = rearrange(table[:, 1:].float(), "1 (h w) c -> 1 c h w", h=side)
    scale = ((h + 0.1) / side, (w + 0.1) / side)
    patches = F.interpolate(patches, scale_factor=scale, mode="bicubic", antialias=False)
    if patches.shape[-2:] != grid:
        raise ValueError(f"positions of {side} x {side} resampled to {tuple(patches.shape[-2:])}; expected {grid}")
    return torch.cat([table[:, :1], rearrange(patches, "1 c h w -> 1 (h w) c").to(table.dtype)], 1)


def keep_periods(rope: Any, published: bool) -> None:
    """Keep the rotary periods with the model's state; timm recomputes them.

    Args:
        published: round them to bfloat16, as they are in DINOv3's files; that moves tokens by up to 1e-3.
    """
    periods = rope.periods.bfloat16().float() if published else rope.periods
    rope.register_buffer("periods", periods, persistent=True)


def _multiple(pixels: int, stride: int) -> int:
    return max(stride, round(pixels / stride) * stride)
