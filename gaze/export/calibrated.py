"""A person's calibration inside an exported graph."""

from __future__ import annotations

from dataclasses import fields, replace

from jaxtyping import Float
from torch import Tensor, nn

from gaze.calibration.calibration import Calibration
from gaze.calibration.corrections import Correction


class Calibrated(nn.Module):
    """The correction of a calibration, in float32. Its numbers are buffers, so that they go wherever the graph goes."""

    def __init__(self, correction: Correction) -> None:
        super().__init__()
        self.correction = correction
        for field in fields(correction):  # type: ignore[arg-type]
            value = getattr(correction, field.name)
            if isinstance(value, Tensor):
                self.register_buffer(field.name, value.float())

    def forward(self, point: Float[Tensor, "b 2"], features: Float[Tensor, "b f"] | None) -> Float[Tensor, "b 2"]:
        """The calibrated points, cm."""
        held = dict(self.named_buffers())
        return replace(self.correction, **held).apply(point, features)  # type: ignore[type-var]


def correction_module(calibration: Calibration | None) -> Calibrated | None:
    """The module of a calibration; None where there is nothing to correct."""
    return None if calibration is None or calibration.correction is None else Calibrated(calibration.correction)
