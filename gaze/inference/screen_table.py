"""predictions.csv of tools/predict.py: where each user was found to look, in cm and, on a known screen, in pixels."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.inference.looks import Screens
from gaze.types import ScreenPrediction

# cm from the camera, x right and y up; px from the screen's top left, y down. Empty where not known.
COLUMNS = (
    *("sample", "orientation", "x_cm", "y_cm", "raw_x_cm", "raw_y_cm", "x_px", "y_px", "on_screen"),
    *("log_scale_x", "log_scale_y", "doubt"),
)


@dataclass
class ScreenRows:
    """What was found, batch by batch."""

    names: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    points: list[Float[Tensor, "n 2"]] = field(default_factory=list)
    raw: list[Float[Tensor, "n 2"]] = field(default_factory=list)  # before calibration
    log_scale: list[Float[Tensor, "n 2"]] = field(default_factory=list)
    screens: list[Screens] = field(default_factory=list)
    truth: list[Float[Tensor, "n 2"]] = field(default_factory=list)  # NaN unknown

    def add(
        self,
        names: Sequence[str],
        found: tuple[ScreenPrediction, Tensor],
        screens: Screens,
        truth: Tensor | None = None,
        doubts: Sequence[str] | None = None,
    ) -> None:
        """Append a batch: the prediction, and its points before calibration."""
        prediction, raw = found
        unknown = torch.full_like(raw, torch.nan)
        self.names += names
        self.doubts += doubts or [""] * len(names)
        self.points.append(prediction.point)
        self.raw.append(raw)
        self.log_scale.append(unknown if prediction.log_scale is None else prediction.log_scale)
        self.screens.append(screens)
        self.truth.append(unknown if truth is None else truth)

    def __len__(self) -> int:
        return len(self.names)

    def all_screens(self) -> Screens:
        """Of all rows."""
        parts = [vars(screens) for screens in self.screens]
        return Screens(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    def write(self, file: Path, calibrated: bool) -> None:
        """Write the table as CSV.

        Args:
            calibrated: are there points before calibration to tell?
        """
        screens, point = self.all_screens(), torch.cat(self.points)
        px, raw, scale = screens.pixels(point), torch.cat(self.raw), torch.cat(self.log_scale)
        on = ((px >= 0) & (px <= screens.screen_px)).all(-1)
        with file.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(COLUMNS)
            for i, name in enumerate(self.names):
                known = bool(px[i].isfinite().all())
                table.writerow(
                    [
                        *(name, int(screens.orientation[i]), *_cells(point[i], 4)),
                        *(_cells(raw[i], 4) if calibrated else ("", "")),
                        *(*_cells(px[i], 1), int(on[i]) if known else "", *_cells(scale[i], 4), self.doubts[i]),
                    ]
                )


def _cells(values: Float[Tensor, "2"], digits: int) -> list[float | str]:
    return [round(value, digits) if math.isfinite(value) else "" for value in values.tolist()]
