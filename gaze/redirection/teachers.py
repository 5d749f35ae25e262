"""Which finished runs taught a redirector: none of them may judge it, as it learnt to please them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from gaze.checkpoints import WEIGHTS, read_weights
from gaze.errors import UserError
from gaze.runs import Run, RunError, load_config, plain_config

# Of a run's config: what measures or tells, and teaches nothing
IDLE = ("metric", "callback", "logger", "dataset", "val_dataset", "hardware", "resume", "dir", "data_root")


def refuse_teacher(estimator: str | Path, run: str | Path, key: str) -> None:
    """See that an estimator, or a copy of it, did not train the redirector or what it began with.

    Args:
        key: of the config that names the estimator.

    Raises:
        UserError: it did.
    """
    own = _fingerprint(estimator)
    for where, taught in taught_by(run):
        same = Path(taught).resolve() == Path(estimator).resolve()
        if same or (own is not None and own == _fingerprint(taught)):
            raise UserError(
                f"{key}={estimator} was in the loss of {run} ({where}), which learnt to please it; expected one that it never "
                "saw: train another with another seed, or on other people"
            )


def refuse_taught_judges(run: str | Path) -> None:
    """See that no run that a metric of a run judges by is in its losses; see `refuse_teacher`.

    Raises:
        UserError: one is.
    """
    metrics = plain_config(load_config(run)).get("metric")
    for where, judge in _runs(metrics, "metric"):
        refuse_teacher(judge, run, where)


def taught_by(run: str | Path) -> Iterator[tuple[str, str]]:
    """Where in its config, and which runs, a run learnt from: in its losses, and in those of all that it is made of.

    Whatever a value of the config is the directory of is followed: init.run, vae.weights, a teacher's own teachers.
    """
    yield from _taught_by(run, set())


def _taught_by(run: str | Path, seen: set[Path]) -> Iterator[tuple[str, str]]:
    seen.add(Path(run).resolve())
    config = plain_config(load_config(run))
    yield from _runs(config.get("loss"), "loss")
    for part, node in config.items():
        for where, before in () if part in IDLE else _runs(node, part):
            if Path(before).resolve() not in seen and _is_run(before):
                yield from ((f"{where}, {deeper}", other) for deeper, other in _taught_by(before, seen))


def _runs(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Keys and values that name a run: called so, or a directory that holds one."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _runs(value, f"{path}.{key}")
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _runs(value, path)
    elif isinstance(node, str) and (path.endswith(".run") or _is_run(node)):
        yield path, node


def _is_run(value: str) -> bool:
    if not value or not os.path.isfile(os.path.join(value, "config.yaml")):  # of any text: pathlib raises for long ones
        return False
    try:
        load_config(value)
    except RunError:
        return False
    return True


def _fingerprint(run: str | Path) -> str | None:
    """Of the weights, whatever order their file has them in; None where they are gone."""
    if not Path(run).is_dir():
        return None
    opened = Run(run, main=False)
    path = opened.best.newest() or opened.last.newest()
    if path is None:
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(read_weights(path / WEIGHTS).items()):
        digest.update(
            f"{name} {tuple(tensor.shape)}".encode()
            + tensor.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
