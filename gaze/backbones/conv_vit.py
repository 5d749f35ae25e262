"""A small vision transformer with a convolutional stem, to be trained from scratch, on a CPU if need be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from einops import rearrange
from jaxtyping import Float
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.positions import sinusoid_2d


class ConvViT(nn.Module):
    """Stages of 3x3 convolutions that halve the size, then pre-norm transformer blocks over what is left.

    Early convolutions make a transformer train fast and from little data (Xiao et al., NeurIPS 2021).
    Positions are sines and cosines, so any image size that is a multiple of the stride works.

    Args:
        stem: channels of each stage of convolutions; the stride of the whole is 2 to the power of their number.
        refine: convolutions of stride 1 after the one of stride 2 in each stage. Where eyes are a few pixels large,
            one makes the difference between seeing where they point and only finding what could be looked at.
        width: channels of the tokens, and of the features; a multiple of 4 and of `heads`.
        depth: transformer blocks.
        heads: of their attention.
        mlp_ratio: hidden channels of their MLP, as a multiple of `width`.
    """

    def __init__(
        self,
        stem: Sequence[int] = (24, 48, 96),
        refine: int = 1,
        width: int = 96,
        depth: int = 1,
        heads: int = 4,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        if width % heads or not stem or depth < 1:
            raise ValueError(
                f"stem {list(stem)}, width {width}, depth {depth}, heads {heads}; "
                "expected at least one stem layer and one block, and a width divisible by the heads"
            )
        self.channels = width
        self.stride = 2 ** len(stem)
        self.normalize = Normalize()
        widths = [3, *stem]
        self.stem = nn.Sequential(
            *[
                nn.Sequential(_convolve(a, b, stride=2), *[_convolve(b, b, stride=1) for _ in range(refine)])
                for a, b in pairwise(widths)
            ]
        )
        self.project = nn.Conv2d(stem[-1], width, 1)
        self.layers = nn.ModuleList(Block(width, heads, mlp_ratio, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / stride, w = W / stride."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the stride {self.stride}: set dataset.image_size"
            )
        features = self.project(self.stem(self.normalize(image)))
        h, w = features.shape[-2:]
        features = features + sinusoid_2d(
            self.channels, (h, w), device=features.device, dtype=self.project.weight.dtype
        )
        tokens = rearrange(features, "b c h w -> b (h w) c")
        for layer in self.layers:
            tokens = layer(tokens)
        return rearrange(self.norm(tokens), "b (h w) c -> b c h w", h=h)

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, first block to last: the stem goes with the first, the final norm with the last."""
        groups = [list(layer.parameters()) for layer in self.layers]
        groups[0] = [*self.stem.parameters(), *self.project.parameters(), *groups[0]]
        groups[-1] = [*groups[-1], *self.norm.parameters()]
        return groups


def _convolve(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
