"""A trained model of the point of gaze, and what it says about crops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gaze.calibration.calibration import Calibration
from gaze.datasets.screen_view import STREAMS
from gaze.errors import UserError
from gaze.export.card import Card
from gaze.hardware import Hardware
from gaze.landmarks.points import DEFAULT
from gaze.types import ScreenInputs, ScreenPrediction

DERIVED = "imu_valid"  # comes with the stream imu


@dataclass(frozen=True)
class Views:
    """What a model looks at."""

    streams: tuple[str, ...]
    sizes: dict[str, tuple[int, int]]  # (height, width) px of crops, by stream
    landmarks: tuple[int, ...]  # MediaPipe's indices of the stream of landmarks

    @classmethod
    def of_run(cls, dataset: Mapping[str, Any]) -> Views:
        """By the plain config of the data set that the model was trained on. Who it is, is not known.

        Raises:
            UserError: it does not say.
        """
        streams = tuple(name for name in dataset.get("streams") or () if name != "person")
        if not streams:
            raise UserError("the run's config has no dataset.streams, so what its model looks at is not known")
        keys = {"face": "face_size"} | dict.fromkeys(STREAMS[1:], "eye_size")
        sizes = {name: _pair(dataset[keys[name]]) for name in STREAMS if name in streams}
        return cls(streams, sizes, tuple(dataset.get("landmarks") or DEFAULT))

    @classmethod
    def of_card(cls, card: Card) -> Views:
        """By the card of a file."""
        shapes = {name: given["shape"] for name, given in card.inputs.items()}
        sizes = {name: (shapes[name][2], shapes[name][3]) for name in STREAMS if name in shapes}
        return cls(tuple(name for name in shapes if name != DERIVED), sizes, tuple(card.landmarks or DEFAULT))


class ScreenPredictor:
    """Where does each of these users look?

    Args:
        model: takes `ScreenInputs`.
        views: what it looks at.
        hardware: where it runs; one process.
        amp: run the model in the hardware's lower number format.
        calibration: by which points are corrected.
    """

    def __init__(
        self,
        model: nn.Module,
        views: Views,
        hardware: Hardware,
        amp: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        self.model, self.views = hardware.compiled(model.eval()), views
        self.lowered = hardware.lowered(model, amp, everything=True)
        self.hardware, self.amp, self.calibration = hardware, amp, calibration

    @torch.no_grad()
    def __call__(self, inputs: ScreenInputs) -> tuple[ScreenPrediction, Tensor]:
        """The prediction for a batch of 8-bit crops, on the CPU, and its points before any calibration.

        Raises:
            CalibrationError: the calibration reads features that the model does not give.
        """
        with self.hardware.autocast(self.amp), self.lowered:
            found: ScreenPrediction = self.model(self.hardware.place(inputs))
        found = found.float32().map(Tensor.cpu)
        if self.calibration is None:
            return found, found.point
        return replace(found, point=self.calibration.apply(found.point, found.features)), found.point


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
