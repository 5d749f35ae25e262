"""People whose predictions are off by a known affine map and noise, and the methods that a config names."""

from functools import cache
from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from torch import nn

from gaze.calibration.dots import Frames
from gaze.calibration.looks import Heard, Looks
from gaze.hardware import Hardware
from gaze.runs import chosen
from gaze.types import ScreenInputs

CONF = Path(__file__).parents[2] / "conf" / "calibrator"
OF_MODELS = ("finetune_head", "finetune_full", "latent")  # what they fit is a part of the model


@cache
def methods():
    """All that conf/calibrator has, the usual ones first and in their order."""
    with initialize_config_module("gaze.conf"):
        usual = list(compose("calibrate").calibrator)
        others = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem not in usual)
        return chosen(compose("calibrate", [f"calibrator=[{','.join([*usual, *others])}]"]), "calibrator")


MATRIX = torch.tensor([[1.1, 0.05], [-0.04, 0.9]], dtype=torch.float64)
SHIFT = torch.tensor([0.8, -1.2], dtype=torch.float64)


def person(seed=0, dots=12, frames=8, noise=0.0, matrix=MATRIX, shift=SHIFT, features=0):
    """Frames with target = matrix @ point + shift, but for noise of the prediction."""
    draw = torch.Generator().manual_seed(seed)
    point = torch.rand(dots, 2, generator=draw, dtype=torch.float64) * torch.tensor([6.0, 10.0]) - torch.tensor(
        [3.0, 11.0]
    )
    target = point @ matrix.T + shift
    point = point.repeat_interleave(frames, 0)
    point = point + noise * torch.randn(point.shape, generator=draw, dtype=torch.float64)
    read = torch.randn(len(point), features, generator=draw, dtype=torch.float64) if features else None
    dot = torch.arange(dots).repeat_interleave(frames)
    return Frames(point, target.repeat_interleave(frames, 0), dot, read)


class Reader(nn.Module):
    """A model in miniature: eight numbers of the geometry, and an output head behind them."""

    def __init__(self, output):
        super().__init__()
        self.fusion, self.output = nn.Linear(12, 8), output

    def forward(self, inputs):
        return self.output(self.fusion(inputs.geometry), inputs)


def looked(output, dots=10, frames=2, shift=SHIFT, seed=0):
    """Frames of somebody at whose points a model is off by `shift`, as the model sees them."""
    torch.manual_seed(seed)
    model = Reader(output).eval().requires_grad_(False)
    geometry = torch.randn(dots, 12).repeat_interleave(frames, 0)
    with torch.no_grad():
        said = model(ScreenInputs(geometry=geometry))
        heard = Heard(model.fusion(geometry), ScreenInputs(geometry=geometry))
    shown = [ScreenInputs(geometry=one) for one in geometry]
    looks = Looks(model, heard, torch.arange(len(geometry)), shown.__getitem__, Hardware(device="cpu", workers=0))
    dot = torch.arange(dots).repeat_interleave(frames)
    point = said.point.double()
    return model, Frames(point, point + shift, dot, said.features.double(), looks)
