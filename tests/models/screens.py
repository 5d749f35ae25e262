"""Builds the point-of-gaze models of conf/model as they are, without weights or at toy size, and what they look at."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import torch
from hydra import compose, initialize_config_module
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gaze.models.screen import SHARED, ScreenModel
from gaze.runs import build, plain_config, without_weights
from gaze.shapes_only import shapes_only
from gaze.types import ScreenInputs
from tests import groups
from tests.stubs.screen import Trunk

NAMES = [name for name in groups.names("model") if name.startswith("pog_")]
EYES = ("left_eye", "right_eye", SHARED)


@cache
def composed(name: str, *overrides: str) -> DictConfig:
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[f"model={name}", "dir=unused", *overrides])


def without_memory(name: str, *overrides: str) -> nn.Module:
    """The model as it is, on the meta device: names, shapes and counts."""
    with shapes_only():
        return build(OmegaConf.create(without_weights(plain_config(composed(name, *overrides).model))))


def toy(name: str, *overrides: str) -> nn.Module:
    """The model with trunks of one convolution that give maps of the same shape; one without trunks as it is."""
    config = composed(name, *overrides)
    parts: dict[str, Any] = without_weights(plain_config(config.model))
    if get_class(parts["_target_"]) is not ScreenModel:
        return build(OmegaConf.create(parts))
    trunks = {
        stream: Trunk(*_shape(json.dumps(node), crop_size(config, stream))) for stream, node in parts["trunks"].items()
    }
    rest = {
        key: build(OmegaConf.create(node)) for key, node in parts.items() if isinstance(node, dict) and key != "trunks"
    }
    return ScreenModel(trunks, **rest)


@cache
def _shape(trunk: str, side: int) -> tuple[int, tuple[int, int]]:
    """Channels and cells of the map of a trunk, given its config."""
    with shapes_only():
        backbone = build(OmegaConf.create(json.loads(trunk)))
        _, channels, *cells = backbone(torch.rand(2, 3, side, side)).shape
    assert channels == backbone.channels
    return channels, tuple(cells)


def crop_size(config: DictConfig, stream: str) -> int:
    return config.dataset.eye_size if stream in EYES else config.dataset.face_size


def looks(name: str, samples: int = 4, crop: int | None = None, *overrides: str) -> ScreenInputs:
    """Random inputs of the streams that the model asks its data set for; crops of their own size if `crop` is None."""
    config = composed(name, *overrides)
    draws = torch.Generator().manual_seed(0)
    trunks = config.model.get("trunks", {})
    # What no trunk sees a fusion reads by itself, at the size it is made for
    seen = {stream for name in trunks for stream in (EYES if name == SHARED else (name,))}
    sides = {s: crop if crop and s in seen else crop_size(config, s) for s in ("face", "left_eye", "right_eye")}
    everything = {s: torch.rand(samples, 3, side, side, generator=draws) for s, side in sides.items()} | {
        "geometry": 0.1 + 0.5 * torch.rand(samples, 12, generator=draws),
        "landmarks": torch.rand(samples, 71, 2, generator=draws),
        "imu": torch.randn(samples, 9, generator=draws),
        "imu_valid": torch.ones(samples),
        "orientation": torch.randint(1, 5, (samples,), generator=draws),
        "person": torch.arange(samples) - 1,
    }
    return ScreenInputs(**{stream: everything[stream] for stream in config.dataset.streams})


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
