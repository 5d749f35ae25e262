"""Checks of labels against a model that is trusted: every order and sign of axes, and mirrored pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.audit.checks import FEW, VECTOR_FRAMES, correlation
from gaze.audit.verdicts import DOUBT, FITS, UNKNOWN, WRONG, Verdict
from gaze.evaluation import on_batches
from gaze.gaze_frames import ANTIPODE, CAMERA, GAZE360, VectorFrame
from gaze.geometry import angular_error, vector_to_pitch_yaw
from gaze.hardware import Hardware
from gaze.types import Batch, DirectionInputs, DirectionPrediction, DirectionTargets

Predict = Callable[[Tensor], DirectionPrediction]

TELLS = 0.8  # times the next best error: more, and the model can't tell them apart
MEANINGS = {
    ANTIPODE: "they are antipodes",
    GAZE360: "x is left and y up, as in Gaze360",
    VectorFrame(signs=(-1, 1, 1)): "they are mirrored, or the pictures are",
    VectorFrame(signs=(1, -1, 1)): "they are upside down",
    VectorFrame((1, 0, 2)): "pitch and yaw are swapped",
    VectorFrame((1, 0, 2), (-1, -1, 1)): "pitch and yaw are swapped, with both signs",
}


class Seen(NamedTuple):
    """What a model says of n pictures, and of their mirror images."""

    gaze: Float[Tensor, "n 3"]
    mirrored: Float[Tensor, "n 3"]
    concentration: Float[Tensor, "n"] | None = None


def on_faces(model: nn.Module, hardware: Hardware, amp: bool = False) -> Predict:
    """A model as a function of uint8 faces on the CPU, to predictions there."""
    predict = on_batches(model.to(hardware.device), hardware, amp)

    def of_faces(faces: Tensor) -> DirectionPrediction:
        unknown = DirectionTargets(torch.full((len(faces), 3), torch.nan))
        batch = Batch(DirectionInputs(faces), unknown, torch.arange(len(faces)))
        found: DirectionPrediction = predict(batch).map(Tensor.cpu)  # type: ignore[assignment]
        return found

    return of_faces


def look(predict: Predict, batches: Iterable[Tensor]) -> Seen:
    """What a model says of batches of faces, each uint8 with width last."""
    gaze, mirrored, sure = list[Tensor](), list[Tensor](), list[Tensor]()
    for faces in batches:
        prediction = predict(faces)
        gaze.append(prediction.gaze.double())
        mirrored.append(predict(faces.flip(-1)).gaze.double())
        if prediction.concentration is not None:
            sure.append(prediction.concentration.double())
    return Seen(torch.cat(gaze), torch.cat(mirrored), torch.cat(sure) if sure else None)


def check_axes(gaze: Float[Tensor, "n 3"], seen: Float[Tensor, "n 3"]) -> Verdict:
    """Do labels fit a model's predictions better than with any other order and signs of their axes?"""
    errors = [float(angular_error(frame.gaze(gaze), seen).mean().rad2deg()) for frame in VECTOR_FRAMES]
    own = errors[VECTOR_FRAMES.index(CAMERA)]
    error, best = min((e, i) for i, e in enumerate(errors) if VECTOR_FRAMES[i] != CAMERA)
    frame = VECTOR_FRAMES[best]
    figures = {"error_deg": own, "best_other_deg": error}
    found = f"the run is {own:.1f} degrees off; with the labels' axes as {frame}, the best other of 47, {error:.1f}"
    if len(gaze) < FEW:
        return Verdict("axes against the run", UNKNOWN, f"{len(gaze)} pictures are too few", figures=figures)
    if error < TELLS * own:
        return Verdict("axes against the run", WRONG, found, MEANINGS.get(frame, f"read them as {frame}"), figures)
    if own < TELLS * error:
        return Verdict("axes against the run", FITS, found, figures=figures)
    return Verdict("axes against the run", DOUBT, found, "the run can't tell these apart; take a better one", figures)


def check_mirror(seen: Seen) -> Verdict:
    """Do mirrored pictures negate the yaw that a model predicts, and leave its pitch?"""
    if len(seen.gaze) < FEW:
        return Verdict("mirrored pictures", UNKNOWN, f"{len(seen.gaze)} pictures are too few")
    (pitch, yaw), (other_pitch, other_yaw) = (vector_to_pitch_yaw(g).unbind(-1) for g in (seen.gaze, seen.mirrored))
    figures = {"pitch": correlation(pitch, other_pitch), "yaw": correlation(yaw, other_yaw)}
    found = f"yaw correlates by {figures['yaw']:.2f} with that of mirrored pictures, pitch by {figures['pitch']:.2f}"
    if figures["yaw"] < -0.5 and figures["pitch"] > 0.5:
        return Verdict("mirrored pictures", FITS, found, figures=figures)
    do = "expected less than -0.5 and more than 0.5: "
    if figures["yaw"] > 0.5 or figures["pitch"] < -0.5:
        do += "was the run trained with flips that left labels as they were, or on swapped angles?"
        return Verdict("mirrored pictures", WRONG, found, do, figures)
    return Verdict("mirrored pictures", DOUBT, found, do + "the run has not learned enough to judge by", figures)
