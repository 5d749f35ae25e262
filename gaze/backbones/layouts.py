"""Names of tensors: those of the public vision transformers, brought to timm's."""

from __future__ import annotations

from collections.abc import Mapping

from timm.models import eva, vision_transformer
from torch import Tensor, nn

BIASES = ("q_bias", "k_bias", "v_bias")


def vit_state(state: Mapping[str, Tensor], vit: nn.Module) -> dict[str, Tensor]:
    """The tensors of a transformer's file under the names of `vit`, a VisionTransformer or Eva of timm's.

    Understands timm's own files and those of the original DINOv2, DINOv3 and DEIMv2 code, all of which
    may lack or round the rotary periods: those of the file are taken, or else the network's own.
    DINOv3 masks the bias of its keys; it is dropped. DEIMv2's distilled ones have one, and keep it.
    """
    own = vit.state_dict()
    periods = state.get("rope_embed.periods", state.get("rope.periods", own.get("rope.periods")))
    layout = eva if isinstance(vit, eva.Eva) else vision_transformer
    converted = _split_biases(layout.checkpoint_filter_fn(dict(state), vit), own)
    # timm resizes these to fit, and not as DINOv2 does. A table is resampled where it is used, or does not fit.
    converted |= {name: state[name] for name in ("pos_embed", "patch_embed.proj.weight") if name in state}
    if periods is not None:
        converted["rope.periods"] = periods.float()
    return converted


def _split_biases(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The joint bias of queries, keys and values in three, where the network has them so."""
    split: dict[str, Tensor] = {}
    for name, value in state.items():
        place, joint, _ = name.rpartition("qkv.bias")
        if joint and f"{place}q_bias" in own:
            split |= {f"{place}{part}": third for part, third in zip(BIASES, value.chunk(3), strict=True)}
        else:
            split[name] = value
    return split
