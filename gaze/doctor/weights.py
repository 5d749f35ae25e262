"""Files that a config starts from: pretrained weights, and runs of teachers and first stages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urldefrag, urlparse

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, Level, ok, problem, said, size, warning

PARTS = ("model", "loss", "metric")  # of a config that read weights
WITHOUT_FILE = "hash"  # of prompts: vectors are drawn


def pretrained(case: Case) -> Iterator[Finding]:
    """Is every file of weights there, and intact? Nothing is fetched."""
    if not case.sound:
        return
    seen = set()
    for part in PARTS:
        for key, node in named(case.value(part) or {}, part):
            weights = str(node["weights"])
            told = (weights, str(node.get("name", "")))
            if weights != WITHOUT_FILE and told not in seen:
                seen.add(told)
                yield one_file(key, weights, told[1])


def to_be_fetched(case: Case, part: str) -> list[str]:
    """The keys of weights in a part of the config that are not on this machine."""
    keys = named(case.value(part) or {}, part)
    return [
        key for key, node in keys if one_file(key, str(node["weights"]), str(node.get("name", ""))).level != Level.OK
    ]


def one_file(key: str, weights: str, name: str) -> Finding:
    """What is known of one value of `weights`: a path, an address, or "pretrained" for what timm names."""
    from gaze.backbones.weights import PRETRAINED
    from gaze.tensor_files import read_tensors

    if weights == PRETRAINED:
        return _of_timm(key, name)
    if urlparse(weights).scheme in ("http", "https"):
        return _at_address(key, weights)
    path = Path(weights).expanduser()
    if not path.is_file():
        return problem(key, f"there is no file {path.absolute()}; correct {key}, or set it to null for random weights")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        return ok(key, f"{path} is there ({size(path.stat().st_size)})")
    try:
        found = read_tensors(path, key)
    except (ValueError, OSError) as error:
        return problem(key, said(error))
    return ok(key, f"{path}: {len(found)} tensors, intact")


def _of_timm(key: str, name: str) -> Finding:
    from huggingface_hub import try_to_load_from_cache
    from timm import is_model
    from timm.models import get_pretrained_cfg

    source = get_pretrained_cfg(name) if is_model(name) else None
    if source is None or not source.hf_hub_id:
        return ok(
            key,
            f"{name or 'its network'} is fetched by timm when the run starts; on a machine without network, set it to a file",
        )
    for file in ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin"):
        if isinstance(try_to_load_from_cache(source.hf_hub_id, file), str):
            return ok(key, f"{name} is in the cache of Hugging Face")
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    address = f"https://huggingface.co/{source.hf_hub_id}/resolve/main/model.safetensors"
    if offline:
        return problem(
            key, f"{name} is not in the cache, and HF_HUB_OFFLINE is set; fetch {address} and set {key} to its path"
        )
    return warning(
        key,
        f"{name} is not in the cache, so the run will download it; without network fetch {address} and set {key} to its path",
    )


def _at_address(key: str, weights: str) -> Finding:
    import torch

    from gaze.tensor_files import sha256, wrong_digest

    address, fragment = urldefrag(weights)
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(address).path).name
    if not path.is_file():
        return warning(
            key, f"the run will download {address}; without network put it to {path}, or set {key} to its path"
        )
    expected = parse_qs(fragment).get("sha256", [""])[0].lower()
    damage = wrong_digest(path) or (f"its sha256 is not {expected}" if expected and sha256(path) != expected else None)
    if damage:
        return problem(key, f"{path} is damaged ({damage}); delete it, and the run fetches it again")
    return ok(key, f"{path} is there ({size(path.stat().st_size)})")


def other_runs(case: Case) -> Iterator[Finding]:
    """Is every run that the config takes a model or weights from there, with an intact checkpoint?"""
    from gaze.export.origin import other_runs as named_runs

    if not case.sound:
        return
    plain = {part: case.value(part) for part in ("init", "model", "loss", "metric", "callback")}
    for run in dict.fromkeys(named_runs(plain)):
        yield usable_run(run)


def usable_run(run: str) -> Finding:
    """Can a model be loaded from a run directory?"""
    from gaze.checkpoints import CheckpointError
    from gaze.errors import UserError
    from gaze.runs import Run, load_config

    try:
        load_config(run)
        opened = Run(run, main=False)
        newest = opened.best.newest() or opened.last.newest()
    except (UserError, CheckpointError) as error:
        return problem(run, said(error))
    if newest is None:
        return problem(run, "it holds no checkpoint; train it first, or name another run")
    return ok(run, f"{newest.parent.name}/{newest.name} is intact")


def named(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping with a text under `weights`, and the key of that text."""
    if isinstance(node, Mapping):
        if isinstance(node.get("weights"), str):
            yield f"{path}.weights", node
        for key, value in node.items():
            yield from named(value, f"{path}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from named(value, f"{path}[{i}]")
