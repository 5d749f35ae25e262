"""torchvision's ResNets with dilation in place of any of their strides, down to a stride of 4."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torchvision
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.backbones.weights import load_weights

KNOWN = ("resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2")
STAGES = ("layer1", "layer2", "layer3", "layer4")


class DilatedResNet(nn.Module):
    """The last map of a ResNet of bottlenecks, whose later stages may widen their view instead of halving the map.

    timm dilates down to a stride of 8; the eye trunks of the ETH-XGaze challenge's winners (arXiv 2107.01980) end
    with 4, and so cost twelve times a stride of 16.

    Args:
        name: torchvision's name.
        weights: None for random, ``pretrained`` for torchvision's own as timm mirrors them, or a file of
            torchvision's layout or its address.
        dilate: for each of the last three stages, whether it is dilated.

    Raises:
        ValueError: there is no such network that can be dilated, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    def __init__(
        self, name: str = "resnet50", weights: str | None = None, dilate: Sequence[bool] = (True, True, True)
    ) -> None:
        super().__init__()
        if name not in KNOWN:
            raise ValueError(f"backbone.name is {name!r}; expected one of {', '.join(KNOWN)}")
        if len(dilate) != 3:
            raise ValueError(f"backbone.dilate is {list(dilate)}; expected true or false for each of the last 3 stages")
        network = torchvision.models.get_model(name, weights=None, replace_stride_with_dilation=list(dilate))
        network.avgpool = network.fc = nn.Identity()  # or its forward could not be traced, by which norms are folded
        if weights is not None:
            load_weights(
                network, f"{name}.tv_in1k", weights, lambda state: {k: v for k, v in state.items() if k[:3] != "fc."}
            )
        self.channels: int = network.layer4[-1].conv3.out_channels
        self.stride: int = 32 // 2 ** sum(dilate)
        self.network = network
        self.normalize = Normalize()

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; h = H / stride, w = W / stride."""
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"an image of {height} x {width} px; expected multiples of the stride {self.stride}: set dataset.eye_size"
            )
        network = self.network
        x = network.maxpool(network.relu(network.bn1(network.conv1(self.normalize(image)))))
        return network.layer4(network.layer3(network.layer2(network.layer1(x))))

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, stem first, then block by block."""
        stem = [*self.network.conv1.parameters(), *self.network.bn1.parameters()]
        return [stem, *(list(block.parameters()) for block in chain(*(getattr(self.network, s) for s in STAGES)))]
