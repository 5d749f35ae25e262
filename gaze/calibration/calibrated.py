"""Applies a person's calibration: to the right model, in the model where it belongs there, else to its points."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from gaze.calibration.adapted import Change
from gaze.calibration.calibration import Calibration, read_calibration
from gaze.calibration.dots import CalibrationError
from gaze.checkpoints import WEIGHTS
from gaze.runs import Run, RunError
from gaze.tensor_files import sha256


def calibrated(model: nn.Module, calibration: Calibration | None) -> tuple[nn.Module, Calibration | None]:
    """The model for a person, and what is still to be applied to its points, if anything.

    Methods that fit something to points leave the model as it is; those that change the model leave nothing to be done.

    Raises:
        CalibrationError: the calibration changes parts that this model does not have.
    """
    if calibration is not None and isinstance(calibration.correction, Change):
        return calibration.correction.model(model), None
    return model, calibration


def calibration_of(file: str | Path, weights_sha256: str) -> Calibration:
    """The calibration in a file, which is that of a model with these weights.

    One that was made from a table of predictions does not say of which model it is, and is taken for this one's.

    Raises:
        CalibrationError: it is none, or of another model.
    """
    calibration = read_calibration(file)
    made_with = calibration.about.get("fingerprint", "")
    if made_with and made_with != weights_sha256:
        raise CalibrationError(
            f"{file} was made with other weights (sha256 {made_with[:12]}...) than this model's ({weights_sha256[:12]}...); "
            "calibrate again with tools/calibrate.py run=..."
        )
    return calibration


def fingerprint(run: str | Path) -> str:
    """The sha256 of the weights that the run's model is loaded with.

    Raises:
        RunError: there are none.
    """
    opened = Run(run)
    newest = opened.best.newest() or opened.last.newest()
    if newest is None:
        raise RunError(f"{run} holds no weights; train it first, or give another run")
    return sha256(newest / WEIGHTS)
