"""What judges redirected heads: estimators of gaze and of head pose, and networks that compare pictures.

None of them may have taught the redirector: what it was trained to please says nothing about it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gaze.checkpoints import WEIGHTS, read_weights
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.perceptual.estimators import Estimator
from gaze.perceptual.inception import Inception
from gaze.perceptual.vgg_lpips import VGGLPIPS
from gaze.runs import Run, load_config, load_model, plain_config

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judges:
    """On one device, frozen; what is None is not told."""

    gaze: Estimator | None = None
    head: Estimator | None = None
    identity: nn.Module | None = None  # pictures to unit vectors
    lpips: VGGLPIPS | None = None
    inception: Inception | None = None


def open_judges(
    estimators: Mapping[str, Mapping[str, str | None]],
    run: str | Path,
    hardware: Hardware,
    lpips: str | None = None,
    inception: str | None = None,
    identity: nn.Module | None = None,
) -> Judges:
    """Judges of a redirector's run.

    Args:
        estimators: {gaze: {run: ...}, head: {run: ...}}; null leaves one out.
        lpips: weights of VGG-16; inception: those of FID's network; see gaze/perceptual.

    Raises:
        UserError: an estimator was in the loss of the redirector, or is none.
    """
    opened = dict[str, Estimator]()
    for name, told in estimators.items():
        if told["run"] is None:
            log.warning(
                "no figures of %s: give estimators.%s.run=RUN, a run that the redirector did not learn from", name, name
            )
            continue
        refuse_teacher(told["run"], run, f"estimators.{name}.run")
        judge = Estimator(load_model(told["run"]), whose=f"estimators.{name}")
        opened[name] = judge.to(hardware.device)
    if inception is None or lpips is None:
        missing = [name for name, given in (("lpips", lpips), ("fid", inception)) if given is None]
        log.warning(
            "%s: n/a, as there are no weights; give %s",
            " and ".join(missing),
            ", ".join(f"redirection.{name}_weights=FILE" for name in missing),
        )
    return Judges(
        **opened,
        identity=identity,
        lpips=None if lpips is None else VGGLPIPS(weights=lpips).to(hardware.device),
        inception=None if inception is None else Inception(weights=inception).to(hardware.device),
    )


def refuse_teacher(estimator: str | Path, run: str | Path, key: str) -> None:
    """See that an estimator, or a copy of it, did not train the redirector or what it began with.

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


def taught_by(run: str | Path) -> Iterator[tuple[str, str]]:
    """Where in its config, and which runs, a run learnt from: in its losses, and in those of what it began with."""
    config = plain_config(load_config(run))
    yield from _runs(config.get("loss"), "loss")
    for where, before in _runs(config.get("init"), "init"):
        if (Path(before) / "config.yaml").is_file():
            yield from ((f"{where}, {deeper}", other) for deeper, other in taught_by(before))


def _runs(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "run" and isinstance(value, str):
                yield path, value
            else:
                yield from _runs(value, f"{path}.{key}")
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _runs(value, path)


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
