"""First weights for a backbone: timm's download, a file, or a file at an address; checked name by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from gaze.downloads import fetch
from gaze.errors import UserError
from gaze.tensor_files import differences, read_tensors

logger = logging.getLogger(__name__)

PRETRAINED = "pretrained"
Convert = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]


def load_weights(
    network: nn.Module,
    name: str,
    weights: str,
    convert: Convert = dict,
    subset: bool = False,
    key: str = "backbone.weights",
    **options: Any,
) -> None:
    """Fill `network`, which timm knows or would know as `name`.

    Args:
        weights: ``pretrained`` for the file timm names, the path of a file, or its address (https://...).
        convert: brings the tensors of a file under the names of `network`.
        subset: let tensors that are missing or of another shape keep their start, and drop those there is
            no place for; both are logged. For a network that starts from the weights of a larger one.
        key: what a user sets to name the weights, for the messages.
        options: of the network that timm downloads into.

    Raises:
        FileNotFoundError, UserError: the file is not there, or can't be had.
        ValueError: the file is of another kind, or its tensors don't fit; all of them are listed.
    """
    own = network.state_dict()
    read = _download(name, options, key) if weights == PRETRAINED else read_tensors(fetch(weights, key), key)
    state = dict(convert(read))
    if subset and any(_fits(state, own, key) for key in own):
        kept = [key for key in own if not _fits(state, own, key)]
        if kept:
            logger.info("%s: %d of %d tensors keep their start: %s", name, len(kept), len(own), ", ".join(kept))
        state = {key: state.get(key, value) if key not in kept else value for key, value in own.items()}
    if problems := differences(state, own):
        raise ValueError(f"weights {weights!r} don't fit {name}: {problems}. Set {key} to a file made for {name}")
    network.load_state_dict(state)


def _fits(state: Mapping[str, Tensor], own: Mapping[str, Tensor], key: str) -> bool:
    return key in state and state[key].shape == own[key].shape


def _download(name: str, options: Mapping[str, Any], key: str) -> dict[str, Tensor]:
    """The tensors of the file that timm names for `name`."""
    try:
        network = timm.create_model(name, pretrained=True, **{"num_classes": 0, **options})
    except Exception as error:  # every layer below has its own kinds of failure: timm, hub client, sockets
        raise UserError(
            f"could not download the weights of {name} ({type(error).__name__}): fetch {_source(name)} "
            f"and set {key} to its path, or to null for random weights"
        ) from error
    return dict(network.state_dict())


def _source(name: str) -> str:
    source = get_pretrained_cfg(name) if timm.is_model(name) else None
    if source is None or not source.hf_hub_id:
        return "them from the authors (timm names no file)"
    return f"https://huggingface.co/{source.hf_hub_id}/resolve/main/model.safetensors"
