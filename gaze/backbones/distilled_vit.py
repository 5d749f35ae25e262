"""The small transformers that DEIMv2 distilled from DINOv3: ViT-T and ViT-T+."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.models.eva import Eva
from torch import nn

from gaze.backbones.layouts import vit_state
from gaze.backbones.patch_tokens import PatchTokens, keep_periods
from gaze.backbones.weights import load_weights


class DistilledViT(PatchTokens):
    """The patch tokens of a ViT-T or ViT-T+/16 after its last block.

    A DINOv3 transformer without registers, layer scale and final norm, but with a bias on its keys: with
    rotary positions that matters (tokens change by a fifth without it), and timm's class has none.

    Args:
        width: of the tokens: 192 for ViT-T, 256 for ViT-T+; 64 for each head of the attention.
        depth: transformer blocks.
        weights: None for random, or a file (DEIMv2's vitt_distill.pt or vittplus_distill.pt) or its address.
        interaction_indexes, fuse: which blocks to look at, see `gaze.backbones.patch_tokens.PatchTokens`.

    Raises:
        ValueError: the width is no multiple of 64, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    def __init__(
        self,
        width: int = 192,
        depth: int = 12,
        weights: str | None = None,
        interaction_indexes: Sequence[int] | None = None,
        fuse: bool = False,
    ) -> None:
        if width % 64:
            raise ValueError(f"backbone.width is {width}; expected a multiple of 64, the width of an attention head")
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        vit = Eva(
            img_size=640,
            num_classes=0,
            embed_dim=width,
            depth=depth,
            num_heads=width // 64,
            norm_layer=norm,
            use_abs_pos_emb=False,
            use_rot_pos_emb=True,
            rope_type="dinov3",
            rope_temperature=100.0,
            rope_rotate_half=True,
            use_post_transformer_norm=False,
            use_fc_norm=False,
            dynamic_img_size=True,
        )
        for block in vit.blocks:
            _learn_key_bias(block.attn)
        keep_periods(vit.rope, published=False)
        if weights is not None:
            load_weights(vit, f"a ViT of width {width}", weights, lambda state: vit_state(state, vit))
        super().__init__(vit, interaction_indexes, fuse)


def _learn_key_bias(attention: Any) -> None:
    """A parameter in place of the zeros that timm's attention adds to its keys."""
    zeros = torch.zeros_like(attention.q_bias)
    del attention.k_bias
    attention.k_bias = nn.Parameter(zeros)
