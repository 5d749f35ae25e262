"""Checks a plain config against the signatures it will be called with, before anything is built."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable

from gaze.trusted import TRUSTED, is_trusted

TOWER = BeartypeConf(is_pep484_tower=True)  # an int will do for a float
MISSING = "???"  # what a config says where a value must be given
RESERVED = {"_target_", "_partial_"}


def problems(node: Any, path: str = "", trusted: Sequence[str] | None = None) -> Iterator[str]:
    """Every reason why `node` cannot be built: one sentence each, with the key it is about.

    Args:
        node: nested dicts, lists and plain values, as composed; a dict with `_target_` is a call.
        path: key of the node in the whole config.
        trusted: what it may call; None: what a training run may.
    """
    trusted = TRUSTED if trusted is None else trusted
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield from _call_problems(node, path, trusted)
        for key, value in node.items():
            yield from problems(value, _below(path, key), trusted)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from problems(value, f"{path}[{i}]", trusted)
    elif node == MISSING:
        yield f"{path}: a value is missing; give one with {path}=..."


def locate(target: str) -> Any:
    """The object with a dotted name.

    Raises:
        ImportError: there is none.
    """
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:cut])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and not name.startswith(error.name):  # something that module needs is missing
                raise
            continue
        try:
            return functools.reduce(getattr, parts[cut:], found)
        except AttributeError as error:
            raise ImportError(f"module {name} has no {'.'.join(parts[cut:])}") from error
    raise ImportError(f"there is no module {parts[0]}")


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _call_problems(node: Mapping[str, Any], path: str, trusted: Sequence[str]) -> Iterator[str]:
    target = node["_target_"]
    if not isinstance(target, str) or not is_trusted(target, trusted):
        yield f"{path}._target_: {target!r} is not trusted; a config may call only {', '.join(trusted)}"
        return
    try:
        found = locate(target)
        itself = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', None)}"
        if not is_trusted(itself, trusted):
            yield f"{path}._target_: {target!r} is not trusted: it is {itself} under another name"
            return
        parameters = inspect.signature(found).parameters
    except (ImportError, ValueError, TypeError) as error:
        yield f"{path}._target_: {target!r} cannot be called: {error}"
        return
    given = {key: value for key, value in node.items() if key not in RESERVED}
    yield from _name_problems(target, given, parameters, bool(node.get("_partial_")), path)
    hints, ours = _hints(target), target.startswith("gaze.")
    for key, value in given.items():
        # Libraries annotate what their authors mean, not all that they take (a list for a tuple, say).
        strict = ours or isinstance(value, str)
        if (
            strict
            and key in hints
            and value != MISSING
            and _plain(value)
            and not all(is_bearable(probe, hints[key], conf=TOWER) for probe in _probes(value))
        ):
            yield f"{_below(path, key)}: {value!r} is no {_readable(hints[key])}"


def _name_problems(
    target: str, given: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter], partial: bool, path: str
) -> Iterator[str]:
    name = target.rsplit(".", 1)[-1]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for key in given:
        if key not in named and not anything:
            close = difflib.get_close_matches(key, named, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(named) or 'none'}"
            yield f"{_below(path, key)}: {name} has no argument {key!r}; {hint}"
    required = [n for n in named if parameters[n].default is inspect.Parameter.empty]
    if not partial:
        for key in required:
            if key not in given:
                yield f"{path}: {name} needs {key!r}, which is not given"


def _hints(target: str) -> dict[str, Any]:
    """Annotations that can be evaluated; one that names what only a type checker imports is left out."""
    found = locate(target)
    function = inspect.unwrap(found.__init__ if inspect.isclass(found) else found)
    hints = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        with contextlib.suppress(NameError, AttributeError, TypeError):
            hints[name] = eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation
    return hints


def _probes(value: Any) -> Iterator[Any]:
    """For each leaf of a value, one like it in which everything is that leaf: beartype looks at one item of a container."""
    if isinstance(value, Mapping) and value:
        yield from ({key: probe} for key, item in value.items() for probe in _probes(item))
    elif isinstance(value, list) and value:
        yield from ([probe] * len(value) for item in value for probe in _probes(item))
    else:
        yield value


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" not in value and all(map(_plain, value.values()))
    return all(map(_plain, value)) if isinstance(value, list) else True


def _readable(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint).replace("typing.", "")
