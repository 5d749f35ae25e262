"""A model that speaks for one person, and whether a calibration is of this model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from gaze.calibration.adapted import Change
from gaze.calibration.calibration import Calibration
from gaze.calibration.corrections import Correction
from gaze.calibration.dots import CalibrationError
from gaze.checkpoints import WEIGHTS
from gaze.runs import Run, RunError
from gaze.tensor_files import sha256
from gaze.types import ScreenInputs, ScreenPrediction


class Calibrated(nn.Module):
    """A model of screens whose points are calibrated; all else that it says is as it was.

    What was fitted is in buffers, in the float32 of predictions, so that it goes where the model goes: to another
    device, into an exported graph.
    """

    def __init__(self, model: nn.Module, calibration: Calibration, correction: Correction) -> None:
        super().__init__()
        self.model, self.calibration, self.correction = model, calibration, correction
        self._fitted = [name for name, value in vars(correction).items() if isinstance(value, Tensor)]
        for name in self._fitted:
            self.register_buffer(f"fitted_{name}", getattr(correction, name).float(), persistent=False)

    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        prediction: ScreenPrediction = self.model(inputs)
        fitted = {name: getattr(self, f"fitted_{name}") for name in self._fitted}
        correction = replace(self.correction, **fitted)  # type: ignore[type-var]
        features = self.calibration.readable(prediction.features)
        return replace(prediction, point=correction.apply(prediction.point, features))


def calibrated_model(model: nn.Module, calibration: Calibration) -> nn.Module:
    """The model for the person of the calibration, whatever the method: its points need nothing more.

    Raises:
        CalibrationError: the calibration changes parts that this model does not have.
    """
    correction = calibration.correction
    if correction is None:
        return model
    if isinstance(correction, Change):
        return correction.model(model)
    return Calibrated(model, calibration, correction).eval()


def check_run(calibration: Calibration, run: str | Path) -> None:
    """Refuse the calibration of another model than the run's.

    One that was made from a table of predictions does not say of which model it is, and is not refused.

    Raises:
        CalibrationError: the weights differ from those that it was made with.
        RunError: the run has none.
    """
    made_with = calibration.about.get("fingerprint", "")
    if made_with and made_with != (found := fingerprint(run)):
        raise CalibrationError(
            f"the calibration of {calibration.about.get('subject', '?')} is of {calibration.about.get('run', '?')} with "
            f"weights {made_with[:12]}, and {run} has weights {found[:12]}; calibrate again, or give the run that it is of"
        )


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
