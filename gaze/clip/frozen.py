"""What all image towers of CLIP share: frozen whatever happens, one size of pictures, two readings of each."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Seen(NamedTuple):
    """What a tower makes of pictures. A cache that keeps no tokens gives None for them."""

    embed: Float[Tensor, "b e"]  # pooled and projected to where the texts are; not of unit length
    patch_tokens: Float[Tensor, "b n w"] | None  # encoded, row by row of the grid


class FrozenTower(nn.Module):
    """A network that is looked at and never trained: no gradient, eval mode also after `train()`.

    Args:
        side: px, of the square pictures that `see` is given; those of other sizes are resized, bicubic.

    Attributes:
        embed_width, token_width: of what is seen.
        text_model: the text tower in whose space the embedding is, as in `gaze.prompts`; None: there is none.
    """

    embed_width: int
    token_width: int
    text_model: str | None = None
    never_trains = True  # so an average of a model's weights needs no copy

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.normalize = Normalize(CLIP_MEAN, CLIP_STD)

    def freeze(self) -> None:
        """To be called at the end of a constructor."""
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> FrozenTower:
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Seen:
        """What is seen in RGB images in [0, 1]."""
        if image.shape[-2:] != (self.side, self.side):
            size = (self.side, self.side)
            image = F.interpolate(image.float(), size, mode="bicubic", antialias=True).clamp(0.0, 1.0)
        return self.see(self.normalize(image))

    def see(self, image: Float[Tensor, "b 3 s s"]) -> Seen:
        """What is seen in normalised images of the right size."""
        raise NotImplementedError
