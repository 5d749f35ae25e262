"""GazeLLE's decoder: from the features of a picture and a head in it to where that person looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from gaze.heatmaps import MaskMode, check_mode, head_masks
from gaze.positions import sinusoid_2d
from gaze.types import ScenePrediction

InoutHead = Literal["mlp", "linear"]
Resize = Literal["logits", "probabilities"]


class HeatmapDecoder(nn.Module):
    """Gaze-LLE's gaze decoder (Ryan et al., CVPR 2025): one heatmap for each head, from shared features.

    Parameters have the names of the published checkpoints, which therefore load, but for their stored
    ``pos_embed``: positions are computed here, for any grid. What differs from the published code:
    a head prompt never disappears (`head_mask`), heatmaps are logits, and the in/out head starts from
    zero: with the usual start and its learning rate of 1e-2 it saturates at "inside" (their issue 16).

    Args:
        channels: of the features.
        width: of the tokens; a multiple of 4 and of `heads`.
        layers: transformer blocks.
        heads: of their attention.
        size: (h, w) of the heatmaps; what the decoder draws is resized to it if it differs.
        inout: also predict whether the target is in the frame.
        inout_head: ``mlp`` (Gaze-LLE) or ``linear`` (its DINOv3 successor).
        drop_path: probability of stochastic depth, the same in all blocks.
        eps: of the layer norms. 1e-6 is what timm >= 1.0.16 gives; the first checkpoints saw 1e-5.
        head_mask: ``cover`` or ``reference``, see `gaze.heatmaps.head_masks`.
        resize: interpolate ``logits``, which keeps them a function that a loss can use, or, as the
            published evaluation does, ``probabilities``: the prediction is then the logit of the
            interpolated probability. The same where nothing is resized (features at half of `size`).
        antialias: of that interpolation. The original has it, its successor has not.
    """

    # FSDP2 gathers them with this module: it reads their weights itself.
    reads_weights_of = ("head_token", "inout_token", "heatmap_head")

    def __init__(
        self,
        channels: int,
        width: int = 256,
        layers: int = 3,
        heads: int = 8,
        size: Sequence[int] = (64, 64),
        inout: bool = False,
        inout_head: str = "mlp",
        drop_path: float = 0.1,
        eps: float = 1e-6,
        head_mask: str = "cover",
        resize: str = "logits",
        antialias: bool = False,
    ) -> None:
        super().__init__()
        check_mode(inout_head, InoutHead, "inout_head")
        check_mode(head_mask, MaskMode, "head_mask")
        check_mode(resize, Resize, "resize")
        if width % 4 or width % heads or len(size) != 2:
            raise ValueError(
                f"width {width}, heads {heads}, size {list(size)}; "
                "expected a width divisible by 4 and by the heads, and a size of two numbers, height and width"
            )
        self.size = (size[0], size[1])
        self.head_mask, self.resize, self.antialias = head_mask, resize, antialias
        self.linear = nn.Conv2d(channels, width, 1)
        self.head_token = nn.Embedding(1, width)
        self.inout_token = nn.Embedding(1, width) if inout else None
        norm: Any = partial(nn.LayerNorm, eps=eps)
        self.transformer = nn.Sequential(
            *[Block(width, heads, mlp_ratio=4.0, drop_path=drop_path, norm_layer=norm) for _ in range(layers)]
        )
        self.heatmap_head = nn.Sequential(
            nn.ConvTranspose2d(width, width, kernel_size=2, stride=2), nn.Conv2d(width, 1, 1, bias=False)
        )
        self.inout_head = _inout_head(width, inout_head) if inout else None

    def forward(
        self,
        features: Float[Tensor, "b c h w"],
        head_bbox: Float[Tensor, "n 4"],
        image_index: Int[Tensor, "n"],
    ) -> ScenePrediction:
        """Predictions for n heads, head i in picture `image_index[i]`. A box of NaN means no prompt."""
        h, w = features.shape[-2:]
        scene = self.linear(features)
        scene = scene + sinusoid_2d(scene.shape[1], (h, w), device=scene.device, dtype=self.linear.weight.dtype)
        masks = head_masks(head_bbox, (h, w), self.head_mask).to(scene.dtype)
        scene = rearrange(scene, "b c h w -> b (h w) c")[image_index]  # projected once, repeated per head
        tokens = scene + rearrange(masks, "n h w -> n (h w) 1") * self.head_token.weight
        if self.inout_token is not None:
            tokens = torch.cat([self.inout_token.weight.expand(tokens.shape[0], 1, -1).to(tokens.dtype), tokens], 1)
        tokens = self.transformer(tokens)
        inout = None
        if self.inout_head is not None:
            inout, tokens = self.inout_head(tokens[:, 0]).squeeze(-1), tokens[:, 1:]
        return ScenePrediction(heatmap=self._fit(self._draw(tokens, (h, w))), inout=inout)

    def _draw(self, tokens: Float[Tensor, "n k c"], grid: tuple[int, int]) -> Float[Tensor, "n h2 w2"]:
        """The heatmap head as one step: nothing stands between its two layers, so together they are one
        transposed convolution to one channel, without the widest activation of the decoder.

        In float32 at least: bfloat16 has 8 bits, and makes ties at the peak of the map.
        """
        up: Any = self.heatmap_head[0]
        out: Any = self.heatmap_head[1]
        dtype = torch.promote_types(tokens.dtype, torch.float32)
        with torch.autocast(tokens.device.type, enabled=False):
            mix = out.weight[0, :, 0, 0].to(dtype)
            kernel = torch.einsum("ioyx,o->yxi", up.weight.to(dtype), mix).flatten(0, 1)
            pixels = F.linear(tokens.to(dtype), kernel, (up.bias.to(dtype) @ mix).expand(4))
        return rearrange(pixels, "n (h w) (y x) -> n (h y) (w x)", h=grid[0], y=2)

    def _fit(self, logits: Float[Tensor, "n h2 w2"]) -> Float[Tensor, "n h w"]:
        """The heatmap at its published size."""
        if logits.shape[-2:] == self.size:
            return logits
        probabilities = self.resize == "probabilities"
        maps = logits.sigmoid() if probabilities else logits
        maps = F.interpolate(maps[:, None], self.size, mode="bilinear", antialias=self.antialias)[:, 0]
        # The logit of 0 or 1 is infinite; what float32 keeps of a probability ends at about 1e-7 from 1.
        return torch.logit(maps, eps=1e-7) if probabilities else maps


def _inout_head(width: int, kind: str) -> nn.Sequential:
    last = nn.Linear(width if kind == "linear" else 128, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    if kind == "linear":
        return nn.Sequential(last)
    return nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Dropout(0.1), last)
