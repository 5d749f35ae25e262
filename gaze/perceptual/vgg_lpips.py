"""LPIPS, version 0.1, with VGG-16 (Zhang et al. 2018): the distance that published figures of rendered heads are in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.models.vgg import cfgs, make_layers

from gaze.downloads import fetch
from gaze.errors import UserError
from gaze.perceptual.network import PerceptualNetwork, frozen
from gaze.perceptual.unit_distance import unit_distance
from gaze.tensor_files import differences, read_tensors

ENDS = (4, 9, 16, 23, 30)  # layers up to relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3
WIDTHS = (64, 128, 256, 512, 512)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pictures in [-1, 1]
SMALLEST = 16  # px that four poolings leave one cell of
VGG16 = "https://download.pytorch.org/models/vgg16-397923af.pth"
HEADS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth"
BUNDLED = "functional/image/lpips_models/vgg.pth"  # in torchmetrics, which brings the same file


class VGGLPIPS(PerceptualNetwork):
    """Weighted squared differences of VGG-16's features, each cell's at unit length, averaged over cells and added up.

    Args:
        weights: torchvision's vgg16 for ImageNet: a file, or its address.
        heads: weights of the channels, as the lpips package has them (vgg.pth): a file, or its address. None: the copy
            that torchmetrics brings.

    Raises:
        UserError: there are no weights, or they can't be had.
        FileNotFoundError, ValueError: a file is missing, damaged, or of another network.
    """

    title = "VGG Loss"

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: str | None = None, heads: str | None = None) -> None:
        super().__init__()
        if weights is None:
            raise UserError(
                "the perceptual network has no weights, and features of an untrained one are no measure: fetch "
                f"{VGG16} and set network.weights of loss.vgg or metric.lpips to its path, or to this address; or compare by "
                "a run of this project: loss=[perceptual,...] loss.perceptual.network.model.run=RUN"
            )
        with torch.device("meta"):  # what is about to be overwritten needs no memory and no random numbers
            self.features = make_layers(cfgs["D"], batch_norm=False)[: ENDS[-1]]
        read = read_tensors(fetch(weights, "network.weights", without=""), "network.weights")
        state = {key.removeprefix("features."): value for key, value in read.items() if not key.startswith("class")}
        if problems := differences(state, self.features.state_dict()):
            raise ValueError(
                f"{weights} is no vgg16 of torchvision's: {problems}. Fetch {VGG16}, or set network.weights"
            )
        self.features.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
        for level, head in enumerate(_heads(heads)):
            self.register_buffer(f"head_{level}", head)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        frozen(self.to(memory_format=torch.channels_last))

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Features after the last activation before each pooling and the last of all.

        Raises:
            ValueError: pictures are smaller than 16 px.
        """
        if min(image.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"pictures of {tuple(image.shape[-2:])} px; VGG-16 needs {SMALLEST} px or more on both sides"
            )
        maps, x, start = [], (2 * image - 1 - self.shift) / self.scale, 0
        x = x.contiguous(memory_format=torch.channels_last)
        for end in ENDS:
            x = self.features[start:end](x)
            start = end
            maps.append(x)
        return maps

    def distance(self, found: Sequence[Tensor], truth: Sequence[Tensor]) -> Float[Tensor, "b"]:
        """LPIPS of each picture; the truth has no gradient."""
        levels = [
            unit_distance(f, t, getattr(self, f"head_{i}")) for i, (f, t) in enumerate(zip(found, truth, strict=True))
        ]
        return torch.stack(levels).sum(0)


def _heads(file: str | None) -> list[Float[Tensor, "_"]]:
    """The weights of the channels of each level."""
    if file is None:
        package = find_spec("torchmetrics")
        path = Path(str(package.origin)).parent / BUNDLED if package else Path(BUNDLED)
        if not path.is_file():
            raise UserError(
                f"torchmetrics brings no {BUNDLED} any more; fetch {HEADS} and set network.heads to its path"
            )
    else:
        path = fetch(file, "network.heads", without="")
    state = read_tensors(path, "network.heads")
    expected = {f"lin{i}.model.1.weight": torch.empty(1, width, 1, 1) for i, width in enumerate(WIDTHS)}
    if problems := differences(state, expected):
        raise ValueError(f"{path} holds no heads of LPIPS for VGG-16: {problems}. Fetch {HEADS}, or set network.heads")
    return [state[key].float().flatten() for key in expected]
