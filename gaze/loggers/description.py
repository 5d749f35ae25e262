"""What MLflow shows of a run besides its figures: parameters from the config, tags from the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gaze.loggers.masking import masked

KEY_LENGTH, PARAM_LENGTH, TAG_LENGTH = 250, 6000, 8000  # characters that MLflow takes
MANY = 20  # a mapping with more leaves than this becomes one tag
SHOWN = {"git.commit": "mlflow.source.git.commit"}  # a run's page has a place for it
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast; a page may be about hundreds of runs
PLUMBING = ("_partial_", "_convert_", "_recursive_", "_args_")  # says how to build, not what


def document(path: Path) -> Any:
    """The masked content of a YAML or JSON file; None when there is none.

    Raises:
        ValueError: it is not YAML, or uses aliases: a few of them unfold into gigabytes, and we write none.
    """
    if not path.exists():
        return None
    text = masked(path.read_text(encoding="utf-8"))
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            raise ValueError(f"{path} uses YAML aliases, which no training run writes; it is not to be trusted")
        return yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The config as MLflow parameters: dotted keys, classes under `target.`, lists of numbers in one value."""
    found: dict[str, str] = {}
    for path, value in _leaves(config):
        if path[-1] in PLUMBING:
            continue
        if path[-1] == "_target_":
            path = ("target", *path[:-1])
        found[_unique(allowed(".".join(path)), found)] = _text(value)[:PARAM_LENGTH]
    return found


def tags(environment: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, str]:
    """The environment and the command line as MLflow tags; long mappings, such as all packages, in one tag each."""
    found: dict[str, str] = {}
    for name, value in environment.items():
        leaves = {".".join(path): leaf for path, leaf in _leaves({name: value})}
        if len(leaves) > MANY:
            leaves = {str(name): ", ".join(f"{key.partition('.')[2]} {_text(leaf)}" for key, leaf in leaves.items())}
        found.update({allowed(key): _text(leaf)[:TAG_LENGTH] for key, leaf in leaves.items() if leaf is not None})
    if overrides:
        found["overrides"] = " ".join(overrides)[:TAG_LENGTH]
    for ours, theirs in SHOWN.items():
        if ours in found:
            found[theirs] = found.pop(ours)
    if words := found.get("command", "").split():  # the list of runs shows what follows the last slash
        found["mlflow.source.name"] = words[0]
    return found | {"mlflow.source.type": "LOCAL"}


def allowed(key: str) -> str:
    """The key in MLflow's alphabet: letters, digits and _-. :/ as a clean path; `backbone@model.backbone` needs it."""
    parts = re.sub(r"[^\w\-. :/]", "_", key[:KEY_LENGTH], flags=re.ASCII).split("/")
    return "/".join(part for part in parts if part not in ("", ".", "..")) or "_"


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(node, list) and any(isinstance(item, (Mapping, list)) for item in node):
        for number, value in enumerate(node):
            yield from _leaves(value, (*path, str(number)))
    elif path:
        yield path, node


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    if isinstance(value, list):
        return f"[{', '.join(_text(item) for item in value)}]"
    return str(value)


def _unique(key: str, taken: Mapping[str, str]) -> str:
    number = 2
    candidate = key
    while candidate in taken:
        candidate = f"{key[: KEY_LENGTH - 8]}_{number}"
        number += 1
    return candidate
