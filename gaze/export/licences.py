"""On what terms an exported model may be used: what its data sets and its first weights say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import timm.models
import yaml

from gaze.backbones.weights import PRETRAINED
from gaze.errors import UserError
from gaze.export.origin import identity, other_runs, training_data
from gaze.prompts.embeddings import HASH
from gaze.runs import load_config, plain_config

TABLE = "licences.yaml"
# What timm says of its weights, where it forbids more than research
FORBIDDING = ("cc-by-nc", "non-commercial", "noncommercial", "research")


@dataclass(frozen=True)
class Licence:
    """The terms of one thing that went into a model."""

    of: str
    terms: str
    research_only: bool | None  # None: not known


def licences(config: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> list[Licence]:
    """The terms of a run's data, of the weights that it started from, and of the runs that it learned from.

    Args:
        config: plain, of the run.
        seen: runs that are not to be looked at again.
    """
    data = training_data(config.get("dataset") or {})
    found = [_of_data(name) for name in data.get("names") or [data.get("name")]]
    found += _of_weights(config.get("model"))
    for run in {*other_runs(config.get("loss")), *other_runs(config.get("init"))} - seen:
        found += _of_run(run, seen | {run})
    return list(dict.fromkeys(found))


def research_only(found: list[Licence]) -> bool | None:
    """Is the model for research only? True if anything in it is, None if that is not known of something."""
    flags = [licence.research_only for licence in found]
    return True if True in flags else None if None in flags else False


def _of_data(name: str | None) -> Licence:
    table = yaml.safe_load((resources.files("gaze.conf") / TABLE).read_text(encoding="utf-8"))
    if name not in table:
        said = f"conf/{TABLE} does not know {name}" if name else "the run does not name its data"
        return Licence(f"data: {name or 'unknown'}", f"unknown: {said}", None)
    return Licence(f"data: {name}", table[name]["terms"], table[name]["research_only"])


def _of_weights(node: Any) -> Iterator[Licence]:
    """The terms of weights that parts of a model were made with."""
    if isinstance(node, Mapping):
        weights = node.get("weights")
        if isinstance(weights, str) and weights != HASH:  # those are drawn, and nobody's
            name = str(node.get("name", ""))
            yield _of_timm(name) if weights == PRETRAINED else Licence(f"weights: {weights}", "unknown", None)
        for value in node.values():
            yield from _of_weights(value)
    elif isinstance(node, list):
        for value in node:
            yield from _of_weights(value)


def _of_timm(name: str) -> Licence:
    known = timm.models.get_pretrained_cfg(name, allow_unregistered=True) if name else None
    terms = getattr(known, "license", None)
    if not terms:
        return Licence(f"weights: {name or 'unknown'}", "unknown: timm does not say", None)
    return Licence(f"weights: {name}", terms, any(word in terms.lower() for word in FORBIDDING))


def _of_run(run: str, seen: frozenset[str]) -> list[Licence]:
    try:
        return licences(plain_config(load_config(run)), seen)
    except UserError:
        return [Licence(f"run: {identity(run)}", "unknown: the run is not on this machine", None)]
