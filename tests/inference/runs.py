"""A run directory of a tiny model with random weights."""

import torch
import yaml
from omegaconf import OmegaConf

from gaze.checkpoints import Checkpoints
from gaze.hardware import Hardware
from gaze.inference.predictor import ScenePredictor
from gaze.runs import build, load_config, load_model

SCENES = {
    "_target_": "gaze.models.gazelle.GazeLLE",
    "backbone": {"_target_": "gaze.backbones.conv_vit.ConvViT", "stem": [8, 8], "width": 16, "depth": 1, "heads": 2},
    "head": {
        "_target_": "gaze.heads.heatmap_decoder.HeatmapDecoder",
        "_partial_": True,
        "width": 16,
        "layers": 1,
        "heads": 2,
        "size": [16, 16],
        "inout": True,
    },
}


def write_run(path, model=SCENES, inout=True):
    """The run, whose backbone sees pictures of 32 x 48 pixels."""
    if not inout:
        model = {**model, "head": {**model["head"], "inout": False}}
    torch.manual_seed(0)
    path.mkdir(parents=True)
    config = {"name": "tiny", "model": model, "dataset": {"image_size": [32, 48]}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    Checkpoints(path / "best").save(0, build(OmegaConf.create(model)), {"step": 0})
    return path


def predictor_of(run):
    return ScenePredictor(load_model(run), load_config(run).dataset.image_size, Hardware("cpu"))
