"""The image tower of CLIP, as timm has it: no text tower, and no package beside timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from einops import rearrange
from jaxtyping import Float
from timm.models import byobnet, vision_transformer
from torch import Tensor

from gaze.backbones.weights import load_weights
from gaze.clip.frozen import CLIP_MEAN, FrozenTower, Seen

# Beside its weights, a file of OpenAI's own holds this number; nobody else's does.
OPENAI = "input_resolution"


class ClipTower(FrozenTower):
    """The embedding of a face and its encoded patch tokens, in one pass and without hooks.

    Args:
        name: timm's, with the tag of the weights: vit_base_patch32_clip_quickgelu_224.openai, resnet50_clip.openai.
        weights: None for random, ``pretrained`` for timm's download, or a file of timm's, OpenAI's or open_clip's
            layout or its address.
        patch_layer: the block (of a ResNet: the stage, 0 is the stem) whose tokens are given, after the final norm if
            there is one; counted from the end if negative. Of several the tokens are joined channel upon channel.
        text_model: MODEL/TAG of open_clip whose text tower belongs to these weights.

    Raises:
        ValueError: timm has no such tower or layer, the weights don't fit, or they were trained with another activation.
        UserError, FileNotFoundError: the weights can't be had.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        patch_layer: int | Sequence[int] = -1,
        text_model: str | None = None,
    ) -> None:
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}; similar names: {timm.list_models('*clip_quickgelu_224')}")
        _check_activation(name)
        network: Any = timm.create_model(name)
        if tuple(network.pretrained_cfg["mean"]) != CLIP_MEAN or not hasattr(network, "forward_intermediates"):
            raise ValueError(
                f"clip.name is {name!r}, which is no image tower of CLIP; expected one with clip in its name"
            )
        super().__init__(network.pretrained_cfg["input_size"][-1])
        if weights is not None:
            load_weights(
                *(network, name, weights, lambda state: tower_state(state, network, name)),
                key="clip.weights",
                num_classes=network.num_classes,
            )
        depth = len(network.feature_info)
        layers = [patch_layer] if isinstance(patch_layer, int) else list(patch_layer)
        if not layers or not all(-depth <= layer < depth for layer in layers):
            raise ValueError(
                f"clip.patch_layer is {patch_layer}; {name} has layers 0 to {depth - 1}, or -1 for the last"
            )
        self.layers = [layer % depth for layer in layers]
        if len(set(self.layers)) < len(layers) or len({network.feature_info[i]["reduction"] for i in self.layers}) > 1:
            raise ValueError(f"clip.patch_layer is {patch_layer}; expected different layers, of one grid of tokens")
        self.network, self.text_model = network, text_model
        self.embed_width: int = network.num_classes
        self.token_width: int = sum(network.feature_info[i]["num_chs"] for i in self.layers)
        self.freeze()

    def see(self, image: Float[Tensor, "b 3 s s"]) -> Seen:
        rising = sorted(self.layers)  # as timm gives them
        features, maps = self.network.forward_intermediates(image, indices=rising, norm=True, output_fmt="NCHW")
        tokens = [rearrange(maps[rising.index(i)], "b c h w -> b (h w) c") for i in self.layers]
        return Seen(self.network.forward_head(features), torch.cat(tokens, -1))


def tower_state(state: Mapping[str, Tensor], network: Any, name: str) -> dict[str, Tensor]:
    """The image tower of a checkpoint under timm's names, with zeros for the bias that CLIP's projection lacks.

    Raises:
        ValueError: the file is OpenAI's, which had QuickGELU, and `name` has not.
    """
    if OPENAI in state and not (isinstance(network, byobnet.ByobNet) or "quickgelu" in name):
        raise ValueError(
            f"the file holds OpenAI's weights, trained with QuickGELU, and {name} has GELU: {_advice(name)}"
        )
    if isinstance(network, vision_transformer.VisionTransformer):
        converted = vision_transformer.checkpoint_filter_fn(dict(state), network)
    else:
        converted = byobnet.checkpoint_filter_fn(dict(state), network)
    head = network.pretrained_cfg["classifier"]
    return {f"{head}.bias": torch.zeros(network.num_classes), **converted}


def _check_activation(name: str) -> None:
    """Refuse an entry of timm's that has the weights of a QuickGELU network, but GELU."""
    twin = _twin(name)
    if twin is not None and "." in name and timm.models.is_model_pretrained(twin):
        raise ValueError(
            f"clip.name is {name!r}: these weights were trained with QuickGELU, and this entry of timm's has GELU, "
            f"with which they give other embeddings; {_advice(name)}"
        )


def _twin(name: str) -> str | None:
    return name.replace("_clip_", "_clip_quickgelu_") if "_clip_" in name and "quickgelu" not in name else None


def _advice(name: str) -> str:
    return f"set clip.name to {_twin(name)}"
