"""Any network of timm as a backbone, by its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import timm
import torch
from jaxtyping import Float
from timm.models import group_parameters
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.backbones.patch_tokens import check_levels
from gaze.backbones.weights import load_weights
from gaze.shapes_only import shapes_only

# What makes the networks that know these options take images of any size.
ANY_SIZE = {"dynamic_img_size": True, "strict_img_size": False, "always_partition": True}


class TimmFeatures(nn.Module):
    """The features of a timm network at one stride, its last by default, with its own normalisation of images.

    What comes after that level is dropped. Some networks take only the size they were made for, or sizes
    that their windows divide, and say so. For DINOv2 and DINOv3 take `gaze.backbones.vit.TimmViT`, which
    treats positions as their authors do.

    Args:
        name: timm's name, such as resnet50 or convnext_tiny.
        weights: None for random, ``pretrained`` for timm's download, or a file of timm's layout or its address.
        stride: pixels per cell; of several levels with that stride, as in a transformer, the last is taken.
            None: the last level of all, whatever its stride.
        output_stride: 8, 16 or 32: dilate the convolutions beyond this stride instead of halving the map again,
            for networks that know how. All weights stay, and so does every level.
        interaction_indexes: levels (the blocks of a transformer) to look at instead, from 0 and rising.
        fuse: give the features of all of these, channel upon channel; otherwise only of the last.

    Raises:
        ValueError: timm has no such network, or it has no such level, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        stride: int | None = None,
        output_stride: int | None = None,
        interaction_indexes: Sequence[int] | None = None,
        fuse: bool = False,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}; similar names: {timm.list_models(name[:6] + '*')[:20]}")
        options = options_for(name, output_stride)
        network: Any = timm.create_model(name, num_classes=0, **options)
        if not hasattr(network, "prune_intermediate_layers"):
            raise ValueError(
                f"timm gives no maps of {name} ({type(network).__name__}) in a single pass; choose another network"
            )
        if weights is not None:
            load_weights(network, name, weights, lambda state: without_classifier(state, network), **options)
        strides = [level["reduction"] for level in network.feature_info]
        if interaction_indexes is None and stride is not None and stride not in strides:
            raise ValueError(f"{name} has no features of stride {stride}; set backbone.stride to one of {strides}")
        indexes = interaction_indexes or [max(i for i, s in enumerate(strides) if stride in (s, None))]
        chosen = check_levels(indexes, len(strides), fuse)
        self.levels = chosen if fuse else chosen[-1:]
        if len({strides[i] for i in self.levels}) > 1:
            raise ValueError(f"{name} has the strides {strides}; expected levels of one stride to fuse, not {chosen}")
        self.stride: int = strides[chosen[-1]]
        self.channels: int = sum(network.feature_info[i]["num_chs"] for i in self.levels)
        # A norm at the end belongs to the last level, or to all levels of a network that has but one stride.
        self.norm = chosen[-1] == len(strides) - 1 or len(set(strides)) == 1
        network.prune_intermediate_layers(chosen, prune_norm=not self.norm, prune_head=True)
        self.network: Any = network
        self.normalize = Normalize(network.pretrained_cfg["mean"], network.pretrained_cfg["std"])

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / stride, w = W / stride."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the stride {self.stride}: set dataset.image_size"
            )
        maps = self.network.forward_intermediates(
            self.normalize(image), indices=self.levels, norm=self.norm, output_fmt="NCHW", intermediates_only=True
        )
        return torch.cat(maps, 1)

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters in timm's own layers, first to last; by submodule where timm tells no layers."""
        return timm_blocks(self.network)


def timm_blocks(network: Any) -> list[list[nn.Parameter]]:
    """All parameters of a timm network in its own layers, first to last; by submodule where timm tells no layers."""
    parameters = dict(network.named_parameters())
    if not hasattr(network, "group_matcher"):
        return [group for child in network.children() if (group := list(child.parameters()))]
    layers = group_parameters(network, network.group_matcher(coarse=False))
    return [[parameters[name] for name in layers[number]] for number in sorted(layers) if layers[number]]


def options_for(name: str, output_stride: int | None = None) -> dict[str, Any]:
    """Those of `ANY_SIZE` that this network knows, and the stride to end with."""
    known = inspect.signature(_kind(name).__init__).parameters
    options = {option: value for option, value in ANY_SIZE.items() if option in known}
    if output_stride is None:
        return options
    if output_stride not in (8, 16, 32) or "output_stride" not in known:
        raise ValueError(
            f"backbone.output_stride is {output_stride} for {name}; expected 8, 16 or 32, and a network that can be "
            "dilated, such as a resnet; null keeps its strides"
        )
    return {**options, "output_stride": output_stride}


@cache
def _kind(name: str) -> type:
    """The class of a network, which timm tells of none that it has not made."""
    with shapes_only():
        return type(timm.create_model(name, num_classes=0))


def without_classifier(state: Mapping[str, Tensor], network: Any) -> dict[str, Tensor]:
    names = network.pretrained_cfg.get("classifier") or ()
    names = (names,) if isinstance(names, str) else tuple(names)
    return {name: value for name, value in state.items() if name.rpartition(".")[0] not in names}
