"""A model of gaze directions whose answers a test can tell from the picture, and runs of one."""

import torch
import yaml
from omegaconf import OmegaConf
from torch import nn

from gaze.checkpoints import Checkpoints
from gaze.hardware import Hardware
from gaze.inference.direction_predictor import DirectionPredictor
from gaze.runs import build
from gaze.types import DirectionInputs, DirectionPrediction

DIRECTIONS = {
    "_target_": "gaze.models.linear_direction.LinearDirection",
    "clip": {"_target_": "gaze.clip.tiny_random.TinyRandom", "side": 8, "embed_width": 8, "width": 8, "depth": 1},
    "head": {"_target_": "gaze.heads.direction_vmf.DirectionVMFHead", "_partial_": True},
}


class Looker(nn.Module):
    """Looks to where the face is brighter: (right - left, lower - upper edge, -1), and `bias` more to the right.

    Args:
        bias: of x.
        temporal: as models of clips have; the answer is then the mean over the pictures that are present.
    """

    def __init__(self, bias=0.0, concentration=None, spread=None, temporal=None):
        super().__init__()
        self.bias, self.concentration, self.spread, self.temporal = bias, concentration, spread, temporal
        self.asked = []

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        face = inputs.face
        self.asked.append(inputs)
        if face.dim() == 5:
            share = inputs.present.float() / inputs.present.sum(1, keepdim=True)
            face = (face * share[:, :, None, None, None]).sum(1)
        (left, *_, right), (top, *_, bottom) = face.chunk(4, -1), face.chunk(4, -2)
        x, y = ((b - a).mean((1, 2, 3)) for a, b in ((left, right), (top, bottom)))
        gaze = torch.stack([x + self.bias, y, torch.full_like(x, -1.0)], -1)

        def all_of(value):
            return None if value is None else torch.tensor(value).expand(len(gaze), *torch.tensor(value).shape)

        return DirectionPrediction(2 * gaze, all_of(self.concentration), all_of(self.spread))


def looker(mirror=False, window=1, **about):
    return DirectionPredictor(Looker(**about), (8, 8), Hardware("cpu"), mirror=mirror, window=window)


def write_direction_run(path):
    """A run of a model with random weights that sees faces of 8 x 8 pixels."""
    torch.manual_seed(0)
    path.mkdir(parents=True)
    config = {"name": "tiny", "model": DIRECTIONS, "dataset": {"face_size": 8}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    Checkpoints(path / "best").save(0, build(OmegaConf.create(DIRECTIONS)), {"step": 0})
    return path
