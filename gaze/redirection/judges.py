"""What judges redirected heads: estimators of gaze and of head pose, and networks that compare pictures.

None of them may have taught the redirector: what it was trained to please says nothing about it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from gaze.hardware import Hardware
from gaze.perceptual.estimators import Estimator
from gaze.perceptual.inception import Inception
from gaze.perceptual.vgg_lpips import VGGLPIPS
from gaze.redirection.teachers import refuse_teacher
from gaze.runs import load_model

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
