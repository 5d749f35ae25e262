"""Evaluates a model that redirects heads: pairs by the published protocol, judged by runs that it never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.redirection.behaviour import monotony, speed
from gaze.redirection.identity import train_identity
from gaze.redirection.judges import Judges, open_judges
from gaze.redirection.observation import CODES, How, observe
from gaze.redirection.people import acquaintance_of
from gaze.redirection.summary import Evaluated
from gaze.types import FaceInputs, collate

OpenSplit = Callable[..., Dataset]
ABSENT = (DatasetError, FileNotFoundError, UserError)  # of splits that are missing, or that lie elsewhere now
REACH = math.radians(30)  # of sweeps where the trained range is not known


def about_heads(data: Dataset) -> bool:
    """Are the samples heads to redirect, that know their pairs?"""
    return len(data) > 0 and hasattr(data, "pairs") and type(data[0].inputs) is FaceInputs


def evaluate_heads(
    name: str,
    run: str,
    model: nn.Module,
    data: Dataset,
    open_training: OpenSplit,
    told: Mapping[str, Any],
    hardware: Hardware,
    amp: bool = False,
    baselines: bool = True,
) -> Evaluated:
    """Redirect and judge the pairs of a split.

    Args:
        run: of the model; what taught it is refused as a judge.
        open_training: opens splits of what the model was trained on.
        told: the keys `estimators` and `redirection` of conf/evaluate.yaml.

    Raises:
        UserError: a wish can't be met, or a judge was a teacher.
    """
    wishes = told["redirection"]
    if wishes["codes"] not in CODES:
        raise UserError(f"redirection.codes is {wishes['codes']!r}; expected {' or '.join(CODES)}")
    pairs = data.pairs(wishes["pairs"])  # type: ignore[attr-defined]
    if not len(pairs):
        raise UserError(
            "the split has no pairs: views of first or second halves are all left out; choose another split"
        )
    judges = open_judges(told["estimators"], run, hardware, wishes["lpips_weights"], wishes["fid_weights"])
    training = _opened(open_training)
    identity = (
        None
        if training is None or not wishes["identity_steps"]
        else train_identity(training, hardware, wishes["identity_steps"])
    )
    judges = Judges(**vars(judges) | {"identity": identity})
    model = model.to(hardware.device).eval()
    how = How(wishes["codes"], wishes["fit"], wishes["renormalise"], wishes["batch_size"], amp, wishes["leaks"])
    observed = observe(name, model, data, pairs, judges, hardware, how, baselines)
    trained = _trained_yaw(training)
    extras: dict[str, Tensor] = {}
    if judges.gaze is not None and wishes["sweeps"]:
        some = pairs[:: max(1, len(pairs) // wishes["sweeps"]), 0].tolist()[: wishes["sweeps"]]
        extras = monotony(model, data, some, judges.gaze, min(trained or REACH, REACH), hardware, wishes["batch_size"])
    timed = None
    if wishes["timed"]:
        inputs = collate([data[i].inputs for i in pairs[: wishes["batch_size"], 0].tolist()])
        timed = speed(model, inputs, hardware, amp, wishes["timed"])
    facts = {"run": run, "pairs": len(pairs), "people": acquaintance_of(run, data, training)}
    facts |= {key: told[key] for key in ("estimators", "redirection")}
    return Evaluated(name, observed, extras, trained, timed, facts)


def _opened(open_training: OpenSplit) -> Dataset | None:
    try:
        return open_training(split="train")
    except ABSENT as error:
        print(f"no figure of identity and of the trained range, as the training split can't be opened: {error}")
        return None


def _trained_yaw(training: Dataset | None) -> float | None:
    gaze = getattr(getattr(training, "labels", None), "gaze", None)
    return None if gaze is None else float(gaze[:, 1].abs().max())
