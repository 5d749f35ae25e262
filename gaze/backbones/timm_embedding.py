"""What a whole timm network says of an image, as one vector."""

from __future__ import annotations

from typing import Any, Literal

import timm
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.backbones.timm_features import options_for, timm_blocks, without_classifier
from gaze.backbones.weights import load_weights
from gaze.heatmaps import check_mode

Embed = Literal["features", "logits"]


class TimmEmbedding(nn.Module):
    """The last thing a timm network computes, as a map of one cell, with its own normalisation of images.

    Unlike the maps of `TimmFeatures` this is pooled as the network pools, with all that stands behind the pooling, such
    as the wide convolution of a MobileNet.

    Args:
        name: timm's name, such as resnet50 or hrnet_w18.
        weights: None for random, ``pretrained`` for timm's download, or a file of timm's layout or its address.
        embed: ``features``, or ``logits``: the network's own classes as an embedding, rectified, as the HRNets and
            BoTNets of the ETH-XGaze challenge's winners have it (arXiv 2107.01980).

    Raises:
        ValueError: timm has no such network, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    stride = None  # one cell, whatever the size

    def __init__(self, name: str, weights: str | None = None, embed: str = "features") -> None:
        super().__init__()
        check_mode(embed, Embed, "embed")
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}; similar names: {timm.list_models(name[:6] + '*')[:20]}")
        logits = embed == "logits"
        options = options_for(name) | ({"num_classes": 1000} if logits else {"num_classes": 0})
        network: Any = timm.create_model(name, **options)
        if weights is not None:
            convert = dict if logits else lambda state: without_classifier(state, network)
            load_weights(network, name, weights, convert, **options)
        # What timm itself says: a table of widths is soon wrong (mobilenetv2_140 has 1792, not 1280)
        self.channels: int = network.num_classes if logits else network.head_hidden_size
        self.network: Any = network
        self.rectify = nn.ReLU() if logits else nn.Identity()
        self.normalize = Normalize(network.pretrained_cfg["mean"], network.pretrained_cfg["std"])

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c 1 1"]:
        """The embedding of RGB images in [0, 1]."""
        return self.rectify(self.network(self.normalize(image)))[:, :, None, None]

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters in timm's own layers, first to last; by submodule where timm tells no layers."""
        return timm_blocks(self.network)
