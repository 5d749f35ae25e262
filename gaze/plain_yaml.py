"""YAML from strangers: plain values, and nothing that unfolds or reaches out when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gaze.errors import UserError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast; a page may be about hundreds of runs
DEEPEST = 50  # levels; the readers recurse, and no file of ours has twenty


class YamlError(UserError, ValueError):
    """A text that is no YAML, or more than plain values."""


def plain_yaml(text: str, source: str | Path) -> Any:
    """What a YAML text says.

    Args:
        source: where it is from, for messages.

    Raises:
        YamlError: it is damaged, nested without measure, or uses aliases: a few lines of them unfold into gigabytes as
            soon as somebody walks through them.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.AliasEvent):
                raise YamlError(f"{source} uses YAML aliases, which can unfold into gigabytes; write each value out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise YamlError(f"{source} is nested more than {DEEPEST} levels deep; expected settings")
        return yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise YamlError(f"{source} is not YAML: {error}") from error


def only_values(plain: Any, source: str | Path) -> Any:
    """`plain`, if OmegaConf would look nothing in it up elsewhere.

    Raises:
        YamlError: it would: ``https://example.org/${oc.env:AWS_SECRET_ACCESS_KEY}`` sends a secret of ours there.
    """
    found = next(_interpolations(plain, ""), None)
    if found is not None:
        raise YamlError(f"{source}: {found} is looked up elsewhere")
    return plain


def _interpolations(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _interpolations(key, f"{path}{key}.")
            yield from _interpolations(value, f"{path}{key}.")
    elif isinstance(node, list):
        for value in node:
            yield from _interpolations(value, path)
    elif isinstance(node, str) and "${" in node:
        yield path.rstrip(".")
