"""What an autoencoder of heads is shown: a head on white."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor


def on_white(image: Shaped[Tensor, "*b 3 H W"], head_mask: Bool[Tensor, "*b H W"] | None) -> Shaped[Tensor, "*b 3 H W"]:
    """The pictures, white outside of the mask if there is one: 1 in [0, 1], or 255 of 8 bits."""
    if head_mask is None:
        return image
    white = 1.0 if image.is_floating_point() else 255
    return torch.where(head_mask[..., None, :, :], image, torch.full_like(image[..., :1, :1, :1], white))
