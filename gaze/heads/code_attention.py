"""Attention of one query to all pixels, without a key or a value of any of them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CodeAttention(nn.Module):
    """What a code finds in a picture: softmax over all pixels of key . code / sqrt(q), then the mean of their values.

    With a single query, (W_k x + b_k) . code is x . (W_k^T code) plus a number that softmax does not see; and the mean of
    W_v x + b_v is W_v of the mean plus b_v. So neither keys nor values exist for any pixel: of 512 x 512 pixels and a
    code of 144, those keys take 151 MB. The answers are the same but for rounding.

    Args:
        channels: of the pixels.
        code: numbers of the query.
    """

    # FSDP2 gathers them with this module: it reads their weights itself.
    reads_weights_of = ("key",)

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, code, bias=False)
        self.value = nn.Linear(channels, channels)

    def forward(self, pixels: Float[Tensor, "n h w c"], code: Float[Tensor, "n q"]) -> Float[Tensor, "n c"]:
        """One vector for each picture."""
        flat = pixels.flatten(1, 2)
        query = (code @ self.key.weight) * code.shape[1] ** -0.5
        logits = torch.bmm(flat, query.to(flat.dtype)[:, :, None])
        share = logits.to(torch.promote_types(flat.dtype, torch.float32)).softmax(1).to(flat.dtype)
        return self.value(torch.bmm(share.mT, flat)[:, 0])
