"""Reads the weights of a KL autoencoder: from a folder or file in diffusers' format, or from a run of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.tensor_files import read_tensors

CONFIG = "config.json"
FILES = tuple(f"diffusion_pytorch_model.{end}" for end in ("safetensors", "fp16.safetensors", "bin"))
TRAIN = "python -m gaze.train model=gazegaussian_vae"  # the command that makes weights

# Attention's layers as older files call them
_BEFORE = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# Our argument -> key of the config, and what is meant where it is absent
_ARGUMENTS: dict[str, tuple[str, Any]] = {
    "widths": ("block_out_channels", [64]),
    "layers": ("layers_per_block", 1),
    "latent_channels": ("latent_channels", 4),
    "groups": ("norm_num_groups", 32),
    "attention": ("mid_block_add_attention", True),
}
# What else a config may say, and the one thing that can be read
_ONLY: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "in_channels": 3,
    "out_channels": 3,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "shift_factor": None,
}
_SCALING = 0.18215  # diffusers' own where a config says none


class Source(NamedTuple):
    """An autoencoder as it was found."""

    arguments: dict[str, Any]  # of `AutoencoderKL`, that decide its shape
    tensors: dict[str, Tensor]  # under our names
    scaling_factor: float


def read(weights: str) -> Source:
    """The autoencoder at a path.

    Args:
        weights: a folder of diffusers' (config.json and diffusion_pytorch_model.safetensors, or the pipeline's folder above
            it), one such file with its config.json beside it, or the directory of a run whose model holds one.

    Raises:
        FileNotFoundError: there is nothing, or no config.
        ValueError: it is no such autoencoder, or not all of its numbers are finite.
        RunError, CheckpointError: the run has no weights, or cannot be loaded.
    """
    path = Path(weights)
    if path.is_dir() and (path / "config.yaml").is_file():
        return _finite(path, _of_run(path))
    if path.is_dir() and (path / "vae" / CONFIG).is_file():  # a whole pipeline
        path = path / "vae"
    folder = path.parent if path.suffix else path
    file = path if path.suffix else next((folder / n for n in FILES if (folder / n).is_file()), folder / FILES[0])
    config = folder / CONFIG
    if not file.is_file() or not config.is_file():
        missing = config if file.is_file() else file
        raise FileNotFoundError(
            f"no {missing.absolute()}; expected {CONFIG} and {FILES[0]} in one folder, or the directory of a run made by "
            f"'{TRAIN}': set vae.weights to it"
        )
    arguments, scaling = _read_config(config)
    tensors = {_now(name): tensor for name, tensor in read_tensors(file, "vae.weights").items()}
    return _finite(file, Source(arguments, tensors, scaling))


def _read_config(file: Path) -> tuple[dict[str, Any], float]:
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); fetch it again, or set vae.weights to another") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{file} holds {type(found).__name__}; expected the settings of an AutoencoderKL by name")
    wrong = [f"{key} {found[key]!r} instead of {only!r}" for key, only in _ONLY.items() if found.get(key, only) != only]
    blocks = {*found.get("down_block_types", ()), *found.get("up_block_types", ())}
    wrong += [f"a block {name}" for name in sorted(blocks - {"DownEncoderBlock2D", "UpDecoderBlock2D"})]
    if wrong:
        raise ValueError(
            f"{file} describes an autoencoder that cannot be read: {', '.join(wrong)}; choose one of SD's type"
        )
    arguments = {ours: found.get(theirs, default) for ours, (theirs, default) in _ARGUMENTS.items()}
    return arguments, float(found.get("scaling_factor", _SCALING))


def _now(name: str) -> str:
    """The name of a tensor, as files have it today."""
    before, _, last = name.rpartition(".")
    above, _, layer = before.rpartition(".")
    return f"{above}.{_BEFORE[layer]}.{last}" if ".attentions." in name and layer in _BEFORE else name


def _of_run(run: Path) -> Source:
    from gaze.runs import load_model  # imports Hydra, which the entry has and a test need not
    from gaze.vaes.autoencoder_kl import AutoencoderKL

    model = load_model(run)
    found: list[nn.Module] = [module for module in model.modules() if isinstance(module, AutoencoderKL)]
    if not found:
        raise UserError(
            f"vae.weights: {run} is the run of a {type(model).__name__}, which holds no autoencoder; give one made by "
            f"'{TRAIN}'"
        )
    vae: Any = found[0]
    tensors = vae.state_dict()
    return Source(vae.arguments, tensors, float(tensors.pop("scaling_factor")))


def _finite(path: Path, source: Source) -> Source:
    broken = [name for name, tensor in source.tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ValueError(
            f"{path}: {len(broken)} of {len(source.tensors)} tensors are not finite: {', '.join(broken[:4])}; expected the "
            "weights of a finished training: fetch or train them again"
        )
    if not 0 < source.scaling_factor < float("inf"):
        raise ValueError(
            f"{path}: scaling_factor is {source.scaling_factor}; expected a number above 0, as every training measures it"
        )
    return source
