"""A plain stack of convolutions: the trunks of the small and the early networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize, Standardize


class ConvTower(nn.Module):
    """Convolutions, each with its norm, activation and pooling, from the pixels to one map.

    All lists have one entry for each convolution. Without padding the map is smaller than the image over the stride.

    Args:
        widths: channels.
        kernels: sides, px.
        strides: of the convolutions.
        paddings: cells of zeros on each side; None: half a kernel, so that only strides make the map smaller.
        groups: of channels that don't see one another; None: all see all.
        pools: side of the pooling that follows, which moves by 2; 0 for none; None: none at all.
        batch_norm: normalise by the batch before each activation.
        activation: makes them.
        pooling: makes the poolings, given side and stride.
        normalize: makes what is done to images first: colours to the usual mean and spread, or `Standardize`.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 32),
        kernels: Sequence[int] = (5, 3, 3),
        strides: Sequence[int] = (2, 2, 2),
        paddings: Sequence[int] | None = None,
        groups: Sequence[int] | None = None,
        pools: Sequence[int] | None = None,
        batch_norm: bool = True,
        activation: Callable[[], nn.Module] = nn.ReLU,
        pooling: Callable[..., nn.Module] = nn.MaxPool2d,
        normalize: Callable[[], Normalize | Standardize] = Normalize,
    ) -> None:
        super().__init__()
        paddings = [k // 2 for k in kernels] if paddings is None else paddings
        groups, pools = groups or [1] * len(widths), pools or [0] * len(widths)
        lists = {
            "widths": widths,
            "kernels": kernels,
            "strides": strides,
            "paddings": paddings,
            "groups": groups,
            "pools": pools,
        }
        if len({len(entries) for entries in lists.values()}) > 1:
            found = ", ".join(f"{len(entries)} {name}" for name, entries in lists.items())
            raise ValueError(f"a tower with {found}; expected as many of each, one for each convolution")
        self.normalize = normalize()
        rows = zip(pairwise([self.normalize.channels, *widths]), kernels, strides, paddings, groups, pools, strict=True)
        self.layers = nn.Sequential()
        for (before, width), kernel, stride, padding, group, pool in rows:
            self.layers.append(
                nn.Sequential(
                    nn.Conv2d(before, width, kernel, stride, padding, groups=group),
                    *([nn.BatchNorm2d(width)] if batch_norm else []),
                    activation(),
                    *([pooling(pool, 2)] if pool else []),
                )
            )
        self.channels = widths[-1]
        self.stride: int = prod(strides) * 2 ** sum(pool > 0 for pool in pools)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"a crop of {height} x {width} px; expected multiples of the stride {self.stride}: "
                "set dataset.face_size and dataset.eye_size"
            )
        return self.layers(self.normalize(image))

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, convolution by convolution."""
        return [list(layer.parameters()) for layer in self.layers]
