"""Vision transformers that timm knows by name: DINOv2 at any size, exactly as published, and DINOv3."""

from __future__ import annotations

from collections.abc import Sequence

import timm

from gaze.backbones.layouts import vit_state
from gaze.backbones.patch_tokens import PatchTokens, keep_periods
from gaze.backbones.weights import load_weights


class TimmViT(PatchTokens):
    """The patch tokens of a timm vision transformer after its final norm.

    Differences from the layouts of the original code: no mask token (used in pre-training only), and
    no key bias in DINOv3's attention (always 0 there).

    Args:
        name: timm's name. For DINOv3 take the ``_qkvb`` models: fine-tuned weights have biases.
        weights: None for random, ``pretrained`` for timm's download, or a file (.safetensors, .pth) or its address.
        interaction_indexes, fuse: which blocks to look at, see `gaze.backbones.patch_tokens.PatchTokens`.

    Raises:
        ValueError: timm's model is none this class understands, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        interaction_indexes: Sequence[int] | None = None,
        fuse: bool = False,
    ) -> None:
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}; similar names: {timm.list_models(name[:8] + '*')[:20]}")
        vit = timm.create_model(name, num_classes=0, dynamic_img_size=True)
        if vit.pos_embed is not None and (vit.no_embed_class or vit.num_prefix_tokens != 1):
            raise ValueError(
                f"{name} has registers beside a table of positions; expected one class token, or rotary positions"
            )
        if vit.pos_embed is None:
            keep_periods(vit.rope, published=True)
        if weights is not None:
            load_weights(vit, name, weights, lambda state: vit_state(state, vit), dynamic_img_size=True)
        super().__init__(vit, interaction_indexes, fuse)
