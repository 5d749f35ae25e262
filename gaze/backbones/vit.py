"""Vision transformers of timm as backbones: DINOv2 at any size, exactly as published, and DINOv3."""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.backbones.weights import load_weights


class TimmViT(nn.Module):
    """The patch tokens of a timm vision transformer after its final norm, as a feature map.

    Any image size that is a multiple of the patch size works. Rotary positions (DINOv3) are computed
    for the grid at hand; a learned table (DINOv2) is kept at its published size and resampled in each
    forward as DINOv2's own code does, which timm does not (tokens differ by up to a tenth of their size).
    Differences from the layouts of the original code: no mask token (used in pre-training only), and
    no key bias in DINOv3's attention (always 0 there).

    Args:
        name: timm's name. For DINOv3 take the ``_qkvb`` models: fine-tuned weights have biases.
        weights: None for random, ``pretrained`` for timm's download, or a file (.safetensors, .pth).

    Raises:
        ValueError: timm's model is none this class understands.
        RuntimeError: the weights can't be had, or don't fit.
    """

    vit: Any  # VisionTransformer or Eva; timm annotates neither enough

    def __init__(self, name: str, weights: str | None = None) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}; similar names: {timm.list_models(name[:8] + '*')[:20]}")
        self.vit = timm.create_model(name, num_classes=0, dynamic_img_size=True)
        table = self.vit.pos_embed
        if table is not None and (self.vit.no_embed_class or self.vit.num_prefix_tokens != 1):
            raise ValueError(
                f"{name} has registers beside a table of positions; expected one class token, or rotary positions"
            )
        self.channels: int = self.vit.embed_dim
        self.stride: int = self.vit.patch_embed.patch_size[0]
        self.normalize = Normalize()
        if self.vit.pos_embed is None:
            _keep_published_periods(self.vit.rope)
        if weights is not None:
            load_weights(self.vit, name, weights)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / stride, w = W / stride."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the patch size {self.stride}: "
                f"set dataset.image_size to [{_multiple(height, self.stride)}, {_multiple(width, self.stride)}]"
            )
        tokens = self._tokens(self.normalize(image))[:, self.vit.num_prefix_tokens :]
        return rearrange(tokens, "b (h w) c -> b c h w", h=height // self.stride)

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

    def _tokens(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b k c"]:
        vit = self.vit
        if vit.pos_embed is None:
            return vit.forward_features(image)
        patches = vit.patch_embed(image)
        position = resample_positions(vit.pos_embed, (patches.shape[1], patches.shape[2]))
        class_token = vit.cls_token.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([class_token, rearrange(patches, "b h w c -> b (h w) c")], 1) + position
        return vit.norm(vit.blocks(vit.norm_pre(tokens)))


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


def _keep_published_periods(rope: Any) -> None:
    """Rotary periods rounded to bfloat16, as in the published weights, and kept with the model's state.

    timm recomputes them in float32, which moves tokens by up to 1e-3.
    """
    rope.register_buffer("periods", rope.periods.bfloat16().float(), persistent=True)


def _multiple(pixels: int, stride: int) -> int:
    return max(stride, round(pixels / stride) * stride)
