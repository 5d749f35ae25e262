"""Run directories of small scene models of each kind, with weights that make every output depend on every input."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import timm
import torch
import yaml
from omegaconf import OmegaConf

from gaze.checkpoints import Checkpoints
from gaze.runs import build

CONV = {"_target_": "gaze.backbones.conv_vit.ConvViT", "stem": [8, 8], "width": 16, "depth": 1, "heads": 2}
DINOV2 = {"_target_": "gaze.backbones.vit.TimmViT", "name": "vit_base_patch14_dinov2"}
DINOV3 = {"_target_": "gaze.backbones.vit.TimmViT", "name": "vit_small_patch16_dinov3_qkvb"}
HEAD = {
    "_target_": "gaze.heads.heatmap_decoder.HeatmapDecoder",
    "_partial_": True,
    "width": 16,
    "layers": 1,
    "heads": 2,
    "size": [16, 16],
    "inout": True,
}


def write_run(path, backbone=CONV, image_size=(32, 48), **head):
    """The run, with random weights."""
    model = {"_target_": "gaze.models.gazelle.GazeLLE", "backbone": backbone, "head": HEAD | head}
    path.mkdir(parents=True)
    config = {"name": "tiny", "model": model, "dataset": {"image_size": list(image_size)}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    with small_timm():
        made = build(OmegaConf.create(model))
    for name, parameter in made.named_parameters():  # the in/out head starts from zero, and would say 0.5 to all
        if "inout_head" in name or "heatmap_head" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    Checkpoints(path / "best").save(0, made, {"step": 0})
    return path


@contextmanager
def small_timm():
    """While inside, timm makes its transformers small: a table of 5 x 5 positions, or rotary ones and registers."""
    create = timm.create_model
    small = {"dinov2": {"img_size": 70, "embed_dim": 16}, "dinov3": {"embed_dim": 32}}

    def make(name, **kwargs):
        (sizes,) = (sizes for kind, sizes in small.items() if kind in name)
        return create(name, **kwargs | sizes | {"depth": 2, "num_heads": 2})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, "create_model", make)
        yield
