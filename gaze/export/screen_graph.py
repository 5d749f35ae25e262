"""A model of the point of gaze behind named inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.screen_view import STREAMS
from gaze.types import ScreenInputs, ScreenPrediction


class Stream(NamedTuple):
    """One input: what it is made of, and what it means."""

    type: str
    shape: tuple[int, ...]  # of one sample
    meaning: str


MEANINGS = {
    "face": "RGB crop of the face",
    "left_eye": "RGB crop of the user's left eye",
    "right_eye": "RGB crop of the user's right eye",
    "geometry": "x, y, width, height of the boxes of face, left and right eye, in fractions of the upright frame's width and "
    "height; NaN where unknown",
    "landmarks": "x, y of face landmarks in fractions of the upright frame; NaN where missing",
    "imu": "gravity (g), rotation rate (rad/s) and user acceleration (g), three numbers each; zeros where unknown",
    "imu_valid": "1, or 0 where imu is unknown",
    "orientation": "of the interface: 1 upright, 2 upside-down, 3 landscape with the home button at the right, 4 at the left",
}
OUTPUTS = {
    "point_cm": "the point of gaze, see target",
    "features": "of the layer before the last; personal calibration reads them",
    "log_scale": "natural logarithm of the Laplace distribution's b in cm, for x and y: how sure the model is",
    "heatmap": "shares of the cells of grid_cm, which add up to 1; rows from the top",
    "grid_cm": "left, upper, right and lower edge of the heatmap, as the point",
    "origin_cm": "midpoint of the eyes in the camera frame: x right, y down, z from the camera to the user",
    "gaze": "unit vector of gaze in the camera frame",
}


def streams_of(inputs: ScreenInputs, inside: bool) -> dict[str, Stream]:
    """The inputs of a graph, from a batch of floats in [0, 1].

    Args:
        inside: is the division of pictures by 255 in the graph?
    """
    found = {}
    for name, meaning in MEANINGS.items():
        value = getattr(inputs, name)
        if value is None:
            continue
        picture = name in STREAMS
        kind = "uint8" if picture and inside else str(value.dtype).removeprefix("torch.")
        values = "" if not picture else ", values from 0 to 255" if inside else ", values from 0 to 1"
        found[name] = Stream(kind, tuple(value.shape[1:]), meaning + values)
    return found


class ScreenGraph(nn.Module):
    """The model, whose pictures may be 8-bit and whose points may be calibrated.

    Dividing an 8-bit picture makes floats of it by itself.

    Args:
        model: takes `ScreenInputs`.
        inside: do pictures come with values from 0 to 255?
        correction: what calibrates points, given features; None: nothing does.
    """

    def __init__(self, model: nn.Module, inside: bool, correction: nn.Module | None = None) -> None:
        super().__init__()
        self.model, self.inside, self.correction = model, inside, correction

    def forward(
        self,
        face: Tensor | None = None,
        left_eye: Tensor | None = None,
        right_eye: Tensor | None = None,
        geometry: Tensor | None = None,
        landmarks: Tensor | None = None,
        imu: Tensor | None = None,
        imu_valid: Tensor | None = None,
        orientation: Tensor | None = None,
    ) -> dict[str, Tensor]:
        face, left_eye, right_eye = map(self._scaled, (face, left_eye, right_eye))
        found = self.model(ScreenInputs(face, left_eye, right_eye, geometry, landmarks, imu, imu_valid, orientation))
        point = found.point if self.correction is None else self.correction(found.point, found.features)
        return named(found, point)

    def _scaled(self, crop: Tensor | None) -> Tensor | None:
        return crop / 255 if crop is not None and self.inside else crop


def named(found: ScreenPrediction, point: Float[Tensor, "b 2"]) -> dict[str, Tensor]:
    """A prediction as a file gives it: by name, with this point, heatmaps as shares; without what only training reads."""
    shares = None if found.heatmap is None else found.heatmap.flatten(1).softmax(1).reshape(found.heatmap.shape)
    outputs = {
        "point_cm": point,
        "features": found.features,
        "log_scale": found.log_scale,
        "heatmap": shares,
        "grid_cm": found.grid_cm,
        "origin_cm": found.origin,
        "gaze": found.gaze,
    }
    return {name: value for name, value in outputs.items() if value is not None}


def prediction(outputs: Mapping[str, Tensor]) -> ScreenPrediction:
    """The prediction that a file gave; logits of a heatmap are those of its shares."""
    heatmap = outputs.get("heatmap")
    return ScreenPrediction(
        point=outputs["point_cm"],
        features=outputs.get("features"),
        log_scale=outputs.get("log_scale"),
        heatmap=None if heatmap is None else heatmap.clamp(min=torch.finfo(heatmap.dtype).tiny).log(),
        grid_cm=outputs.get("grid_cm"),
        origin=outputs.get("origin_cm"),
        gaze=outputs.get("gaze"),
    )


def used(model: nn.Module, inputs: ScreenInputs) -> ScreenInputs:
    """The inputs without those that the model does not look at: it says exactly the same without them."""
    with torch.no_grad():
        whole = _tensors(model(inputs))
        for name in MEANINGS:
            if getattr(inputs, name) is None:
                continue
            without = _with(inputs, {name: None})
            try:
                said = _tensors(model(without))
            except (ValueError, TypeError, AttributeError):  # what a model says that lacks an input
                continue
            if all(torch.equal(a, b) for a, b in zip(whole, said, strict=True)):
                inputs = without
    return inputs


def _with(inputs: ScreenInputs, changes: Mapping[str, Any]) -> ScreenInputs:
    return ScreenInputs(**{**vars(inputs), **changes})


def _tensors(found: ScreenPrediction) -> list[Tensor]:
    return [value for value in vars(found).values() if value is not None]
