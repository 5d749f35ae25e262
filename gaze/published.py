"""Published GazeLLE checkpoints as run directories, which is the one form of weights that everything else reads.

Files of fkryan/gazelle hold the head alone, those of PINTO0309/gazelle-dinov3 a head and a backbone.
The names of a head's tensors are ours; each backbone translates its own (`published`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.runs import Run, RunError, build, check, plain_config, without_weights
from gaze.signatures import locate
from gaze.tensor_files import differences, read_tensors, sha256
from gaze.trusted import MODELS

# Modules that the public code wraps around a network, the longest first.
WRAPPERS = ("dinov3._model.", "dinov3.", "model.", "")

# How the published evaluation draws heatmaps, where our training stacks draw better ones.
DRAWING = {"head_mask": "reference", "resize": "probabilities"}


class ImportFailed(UserError, ValueError):
    """A checkpoint does not make the model that was asked for."""


def import_checkpoint(
    source: Path, config: DictConfig, overrides: Sequence[str], out: Path, backbone: str | None = None
) -> str:
    """Write the run directory `out` and say in a line what it holds.

    What the file shows of its origin goes into the config that is written: the kind of in/out head,
    the eps of the layer norms, and the published way of drawing heatmaps.

    Args:
        source: a file of tensors, see `gaze.tensor_files.read_tensors`.
        config: the composed training config of the model; `overrides` led to it.
        backbone: weights of the backbone, for a file that has none: see `gaze.backbones.weights`.

    Raises:
        ImportFailed: the file is for another model, or lacks what the model needs; tensors are listed.
        FileNotFoundError, ValueError: the file is not there, is damaged, or may run code.
        RunError: there is a run in `out` already.
    """
    check(OmegaConf.create({"model": plain_config(config.model)}), MODELS)
    if not hasattr(locate(config.backbone._target_), "published"):
        raise ImportFailed(f"no checkpoint of {config.name} was ever published; give the name of a public model")
    state = read_tensors(source, key="source")
    if broken := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        raise ImportFailed(
            f"{source} holds NaN or infinity in {', '.join(broken[:8])}; its training had failed: take another"
        )
    head, body = parted(state)
    if not head:
        raise ImportFailed(
            f"{source} holds no GazeLLE head, only {_describe(head, body)}; expected a checkpoint of a model or of its head. "
            f"A backbone's file goes into training: model={config.name} backbone.weights={source}"
        )
    _check_inout(source, config, head)
    if body and backbone:
        raise ImportFailed(f"{source} holds a backbone of its own; leave backbone.weights={backbone} out")
    if not body and not backbone:
        raise ImportFailed(
            f"{source} holds a head without its backbone, and a run needs both; add backbone.weights=FILE with the "
            f"weights of {config.backbone.get('name', 'the backbone')}, or backbone.weights=pretrained to download them"
        )
    with open_dict(config):
        config.dir = str(out)
        config.head.update(head_options(head, alone=not body) | DRAWING)
        if backbone:
            config.backbone.weights = backbone
    node = plain_config(config.model)
    model: nn.Module = build(OmegaConf.create(without_weights(node) if body else node))
    _fill(model, source, head, body, config.name)
    return _write(model, source, config, overrides, out)


def parted(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the head, without its stored positions, and of the backbone, under the network's own names."""
    inside = {name.removeprefix("backbone."): t for name, t in state.items() if name.startswith("backbone.")}
    head = {name: t for name, t in state.items() if not name.startswith("backbone.") and name != "pos_embed"}
    if not inside and "linear.weight" not in head:
        head, inside = {}, head  # no GazeLLE at all; perhaps a backbone's own file
    wrapper = next(w for w in WRAPPERS if all(name.startswith(w) for name in inside))
    return head, {name.removeprefix(wrapper): t for name, t in inside.items()}


def head_options(head: Mapping[str, Tensor], alone: bool) -> dict[str, Any]:
    """What a head's tensors say about `gaze.heads.heatmap_decoder.HeatmapDecoder`.

    Args:
        alone: the file has no backbone. Those were trained with timm before 1.0.16, whose layer norms
            had an eps of 1e-5, and antialias what they resize; the others have 1e-6, and do not.
    """
    kind = "mlp" if "inout_head.3.weight" in head else "linear"
    return {"inout_head": kind, "eps": 1e-5 if alone else 1e-6, "antialias": alone}


def _check_inout(source: Path, config: DictConfig, head: Mapping[str, Tensor]) -> None:
    found = any(name.startswith("inout_") for name in head)
    if found != config.head.inout:
        other = config.name.removesuffix("_inout") if config.head.inout else f"{config.name}_inout"
        raise ImportFailed(
            f"{source} holds {'an' if found else 'no'} in/out head and {config.name} has {'one' if not found else 'none'}; "
            f"give model={other}"
        )


def _fill(model: nn.Module, source: Path, head: Mapping[str, Tensor], body: Mapping[str, Tensor], name: str) -> None:
    own = model.state_dict()
    state = {f"head.{key}": value for key, value in head.items()}
    if body:
        backbone: Any = model.backbone
        state |= {f"backbone.{key}": value for key, value in backbone.published(body).items()}
    else:
        state |= {key: value for key, value in own.items() if key.startswith("backbone.")}
    if problems := differences(state, own):
        mine = {key.removeprefix("head."): value for key, value in own.items() if key.startswith("head.")}
        inner = {key.removeprefix("backbone."): value for key, value in own.items() if key.startswith("backbone.")}
        raise ImportFailed(
            f"{source} holds {_describe(head, body)} and {name} is {_describe(mine, inner)}; give the model that the "
            f"file was made for ({problems})"
        )
    model.load_state_dict(state)


def _write(model: nn.Module, source: Path, config: DictConfig, overrides: Sequence[str], out: Path) -> str:
    run = Run(out)
    with run.locked():
        if run.started or run.best.steps():
            raise RunError(f"{out} holds a run already; choose another out=")
        run.open(config, overrides, allow=[])
        origin = {"file": source.name, "sha256": sha256(source)}
        run.best.save(0, model, {"step": 0, "metrics": {}, "imported": origin})
    parameters = sum(p.numel() for p in model.parameters())
    chosen = ", ".join(f"{key} {config.head[key]}" for key in ("inout", "inout_head", "eps"))
    return f"{out}: {config.name}, {parameters:,} parameters; head: {chosen}"


def _describe(head: Mapping[str, Tensor], body: Mapping[str, Tensor]) -> str:
    """What these tensors are, in a few words."""
    words = []
    if "linear.weight" in head:
        words.append(f"a head on {head['linear.weight'].shape[1]} channels")
    blocks = {found[1] for name in body if (found := re.search(r"(?:^|\.)blocks\.(\d+)\.", f".{name}"))}
    stages = {found[1] for name in body if (found := re.match(r"stages\.(\d+)\.", name))}
    if stages:
        words.append(f"a CNN of {len(stages)} stages")
    elif blocks:
        patch = next((t for name, t in body.items() if name.endswith("patch_embed.proj.weight")), None)
        size = "" if patch is None else f" of width {patch.shape[0]} on patches of {patch.shape[-1]} px"
        words.append(f"a transformer of {len(blocks)} blocks{size}")
    return " and ".join(words) or "tensors of another kind"
