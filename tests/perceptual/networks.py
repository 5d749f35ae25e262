"""Small networks that stand for those that need weights or another run."""

from types import SimpleNamespace

import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from gaze.perceptual.network import PerceptualNetwork
from gaze.shapes_only import shapes_only
from gaze.types import DirectionInputs, DirectionPrediction


class Pixels(PerceptualNetwork):
    """Sees pixels; counts the pictures that it was shown, with and without a gradient."""

    def __init__(self):
        super().__init__()
        self.shown = SimpleNamespace(learning=0, fixed=0, sizes=set(), kinds=set())

    def forward(self, image):
        setattr(self.shown, *(("learning", self.shown.learning + len(image)) if torch.is_grad_enabled()
                              else ("fixed", self.shown.fixed + len(image))))  # fmt: skip
        self.shown.sizes.add(tuple(image.shape[-2:]))
        self.shown.kinds.add(torch.is_autocast_enabled(image.device.type))
        return [image]

    def distance(self, found, truth):
        return (found[0] - truth[0]).abs().mean((1, 2, 3))


class Lookout(nn.Module):
    """Looks where the mean colour points; a CNN before that, as in runs."""

    def __init__(self, width=6, face_size=None):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()),
            nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU()),
            nn.AdaptiveAvgPool2d(1),
        )
        self.turn = nn.Parameter(torch.eye(3))
        if face_size is not None:
            self.face_size = face_size

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        self.seen = inputs.face
        return DirectionPrediction((inputs.face.mean((-2, -1)) - 0.5) @ self.turn)


def vgg_state(seed=0):
    """As torchvision's vgg16 has it, without what follows the convolutions but one tensor; weights are random."""
    draws = torch.Generator().manual_seed(seed)
    with shapes_only():
        layers = make_layers(cfgs["D"])
    state = {}
    for name, tensor in layers.state_dict().items():
        spread = (2 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.1
        state[f"features.{name}"] = spread * torch.randn(tensor.shape, generator=draws)
    return state | {"classifier.0.bias": torch.zeros(3)}
