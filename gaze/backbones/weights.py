"""Published weights for a timm transformer: downloaded, or from a file, and checked name by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import timm
import torch
from safetensors.torch import load_file
from timm.models import eva, get_pretrained_cfg, vision_transformer
from torch import Tensor, nn

from gaze.errors import UserError

PRETRAINED = "pretrained"


def load_weights(network: nn.Module, name: str, weights: str) -> None:
    """Fill a timm `network` made under `name`.

    Args:
        weights: ``pretrained`` for the file timm names, or the path of a file: timm's own layout or that
            of the original DINOv2 and DINOv3 code; flat, or under a key ``model`` or ``state_dict``.

    Raises:
        FileNotFoundError, UserError: the file is not there, or can't be had.
        ValueError: the file is of another kind, or its tensors don't fit; all of them are listed.
    """
    state = _download(name) if weights == PRETRAINED else _convert(read_tensors(Path(weights)), network)
    if "rope.periods" in (own := network.state_dict()):
        state.setdefault("rope.periods", own["rope.periods"])  # timm's files leave out what can be computed
    problems = differences(state, own)
    if problems:
        raise ValueError(
            f"weights {weights!r} don't fit {name}: {problems}. Set backbone.weights to a file made for {name}"
        )
    network.load_state_dict(state)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth or .pt file that holds nothing but tensors."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {path.absolute()}; expected a .safetensors or .pth file: set backbone.weights"
        )
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ValueError(
            f"{path} holds Python objects beside tensors, which could run code; expected a plain state dict: "
            "save it again as .safetensors"
        ) from error
    for key in ("model", "state_dict"):
        state = state.get(key, state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds {type(state).__name__}; expected a mapping from names to tensors")
    return dict(state)


def differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What keeps `state` from being loaded strictly as `expected`, in words; empty if nothing does."""
    reshaped = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    found = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": reshaped,
    }
    return "; ".join(f"{len(keys)} {what}: {_some(keys)}" for what, keys in found.items() if keys)


def _some(keys: list[str], limit: int = 8) -> str:
    return ", ".join(keys[:limit]) + (", …" if len(keys) > limit else "")


def _convert(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The tensors under timm's names."""
    periods = state.get("rope_embed.periods", state.get("rope.periods"))
    layout = eva if isinstance(network, eva.Eva) else vision_transformer
    converted = dict(layout.checkpoint_filter_fn(dict(state), network))
    if periods is not None:
        converted["rope.periods"] = periods.float()
    return converted


def _download(name: str) -> dict[str, Tensor]:
    """The tensors of the file that timm names for `name`."""
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, dynamic_img_size=True)
    except Exception as error:  # every layer below has its own kinds of failure: timm, hub client, sockets
        raise UserError(
            f"could not download the weights of {name} ({type(error).__name__}): fetch {_source(name)} "
            "and set backbone.weights to its path, or to null for random weights"
        ) from error
    return dict(network.state_dict())


def _source(name: str) -> str:
    source = get_pretrained_cfg(name)
    if source is None or not source.hf_hub_id:
        return "them from the authors (timm names no file)"
    return f"https://huggingface.co/{source.hf_hub_id}/resolve/main/model.safetensors"
