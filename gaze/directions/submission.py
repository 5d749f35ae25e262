"""Predictions as the server of ETH-XGaze's challenge takes them: one line per picture, pitch and yaw in radians."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.directions.evaluation import about_directions, observe
from gaze.errors import UserError
from gaze.geometry import vector_to_pitch_yaw
from gaze.hardware import Hardware

RESULTS = "within_eva_results.txt"  # the name that the server's program for scores opens
ARCHIVE = "submission_within_eva"  # of the folder that is packed, and of the archive


def without_labels(data: Dataset) -> bool:
    """Are they faces whose directions of gaze are not published?"""
    labels: DirectionLabels | None = getattr(data, "labels", None)
    return about_directions(data) and labels is not None and not labels.gaze.isfinite().all(-1).any()


def submit(
    model: nn.Module, data: Dataset, folder: Path, hardware: Hardware, batch_size: int = 64, amp: bool = False
) -> None:
    """Predict for all pictures of a split without labels, in its order, and write what a server scores.

    Raises:
        UserError: a picture is missing, so that all behind it would be compared with another's label; or the model failed.
    """
    faults = getattr(data, "faults", [])
    if faults:
        raise UserError(
            f"{len(faults)} pictures or files can't be read, the first: {faults[0]}; expected all of them, as lines are compared "
            "with labels by their number; restore them"
        )
    gaze = observe(model, data, hardware, batch_size, amp).rows.gaze
    failed = (~gaze.isfinite().all(-1)).nonzero()[:, 0].tolist()
    if failed:
        raise UserError(
            f"the model says NaN of {len(failed)} pictures, the first {data.name(failed[0])}; expected a direction of each; "
            "choose a run that has not failed"
        )
    write_submission(gaze, folder)
    print(f"written to {folder}: {RESULTS} and {ARCHIVE}.zip, {len(gaze)} lines from {data.name(0)} on")


def write_submission(gaze: Float[Tensor, "n 3"], folder: Path) -> None:
    """Write the lines of these directions as a text file, and packed as users of the server pack it: in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{pitch:.9e},{yaw:.9e}\n" for pitch, yaw in vector_to_pitch_yaw(gaze.double()).tolist())
    aside = folder / f".{RESULTS}.writing"
    aside.write_text(lines)
    os.replace(aside, folder / RESULTS)
    aside = folder / f".{ARCHIVE}.writing"
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{ARCHIVE}/{RESULTS}", lines)
    os.replace(aside, folder / f"{ARCHIVE}.zip")
