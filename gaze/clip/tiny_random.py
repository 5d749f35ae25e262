"""A tower like CLIP's in miniature, with random weights: it sees something, and means nothing."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from gaze.clip.frozen import FrozenTower, Seen


class TinyRandom(FrozenTower):
    """Two transformer blocks over a 4 x 4 grid, for tests and for what must run without weights.

    Args:
        side: px of the pictures; others are resized.
        embed_width: of the embedding.
        width: of the tokens.
        depth: blocks.
        heads: of their attention.
        cells: along a side of the grid.
        seed: decides all weights.

    Raises:
        ValueError: the sizes don't divide each other.
    """

    def __init__(
        self,
        side: int = 32,
        embed_width: int = 32,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        cells: int = 4,
        seed: int = 0,
    ) -> None:
        if side % cells or width % heads:
            raise ValueError(
                f"clip.side {side}, cells {cells}, width {width}, heads {heads}; "
                "expected a side of whole cells, and a width that the heads divide"
            )
        super().__init__(side)
        self.embed_width, self.token_width = embed_width, width
        with torch.random.fork_rng(devices=[]):  # the same tower whatever was drawn before
            torch.manual_seed(seed)
            self.patches = nn.Conv2d(3, width, side // cells, side // cells)
            self.class_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
            self.positions = nn.Parameter(torch.randn(1, cells**2 + 1, width) * width**-0.5)
            self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
            self.norm = nn.LayerNorm(width)
            self.project = nn.Linear(width, embed_width, bias=False)
        self.freeze()

    def see(self, image: Float[Tensor, "b 3 s s"]) -> Seen:
        patches = rearrange(self.patches(image), "b c h w -> b (h w) c")
        tokens = torch.cat([self.class_token.expand(image.shape[0], -1, -1), patches], 1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return Seen(self.project(tokens[:, 0]), tokens[:, 1:])
