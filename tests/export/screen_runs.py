"""Run directories of small models of the point of gaze, with random weights."""

from __future__ import annotations

import json

import torch
import yaml
from omegaconf import OmegaConf

from gaze.checkpoints import Checkpoints
from gaze.runs import build

TOWER = {"_target_": "gaze.backbones.conv_tower.ConvTower", "widths": [4, 8], "kernels": [3, 3], "strides": [2, 2]}
FUSION = {"_target_": "gaze.fusions.pooled.Pooled", "_partial_": True, "width": 8, "boxes": [8]}
HEAD = {"_target_": "gaze.heads.point_laplace.PointLaplaceHead", "_partial_": True, "hidden": [8]}
STREAMS = ["face", "left_eye", "right_eye", "geometry", "imu", "person"]  # the last two are of no use to it


def write_screen_run(folder, head=HEAD, fusion=FUSION, **dataset):
    """The run, whose weights make every output depend on every input that it looks at."""
    model = {
        "_target_": "gaze.models.screen.ScreenModel",
        "trunks": {"face": TOWER, "eyes": TOWER},
        "fusion": fusion,
        "output": head,
    }
    data = {"_target_": "gaze.datasets.screen.ScreenDataset", "_partial_": True, "path": "nowhere"}
    data |= {"streams": STREAMS, "face_size": 16, "eye_size": [8, 12]}
    folder.mkdir(parents=True)
    config = {
        "name": "toy",
        "model": model,
        "dataset": {key: value for key, value in (data | dataset).items() if value is not None},
    }
    # Through JSON, so that what is there twice is written twice: runs have no aliases
    (folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))))
    torch.manual_seed(0)
    made = build(OmegaConf.create(model))
    for module in made.modules():
        if hasattr(module, "unit_cm"):
            module.set(torch.tensor([1.0, -5.0]), torch.tensor([3.0, 4.0]))
    Checkpoints(folder / "best").save(0, made, {"step": 0})
    return folder
