"""The card of an exported model of gaze directions; see `gaze.export.card`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze.export.card import read_as
from gaze.face_normalization import FACE, Lens

KIND = "direction"

FRAME = (
    "the camera's: x right, y down, z from the camera into the scene; (0, 0, -1) looks into the camera. The camera is one "
    "that has turned to the face: what says how it was turned, turns the answer back"
)
NORMALISATION = (
    "RGB, values from 0 to 255; the division by 255, and the mean and spread that each trunk was trained with, are in the "
    "file"
)


@dataclass(frozen=True)
class DirectionCard:
    """What a file says about itself. All of it is plain, so that it can be JSON."""

    card: int  # version of this form
    kind: str
    model: str  # name of the run's config
    run: str  # the last two parts of its directory
    weights_sha256: str  # of the checkpoint's model.safetensors
    gaze: str  # version of this package
    weights: str  # float32
    inputs: dict[str, dict[str, Any]]  # by name: type, shape (0: any number of samples), meaning
    outputs: dict[str, dict[str, Any]]
    frame: str  # of the vectors
    normalisation: str
    faces: str  # how they are cut, in words
    crop: dict[str, float]  # of a head's box, without a known camera: see `gaze.inference.faces.Cut`
    data: dict[str, Any]  # what is known of the training data: its name, or names
    licences: list[dict[str, Any]]
    research_only: bool | None  # None: not known of all that went into it
    notes: list[str]

    def text(self) -> str:
        """As JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def read(cls, text: str | None, file: Path) -> DirectionCard:
        """The card in `file`, whose text this is.

        Raises:
            ExportError: there is none, or one of another version.
        """
        return read_as(cls, KIND, text, file)

    @property
    def face_size(self) -> tuple[int, int]:
        """(height, width) of the faces, px."""
        height, width = self.inputs["face"]["shape"][-2:]
        return height, width


def faces_in_words(lens: Lens | None) -> str:
    """How faces are made.

    Args:
        lens: of those that a virtual camera took in training; None: they were squares of pictures.
    """
    squares = "squares cut out of pictures, by `crop` of a whole head's box"
    if lens is None:
        return f"{squares}; parts beyond the picture are black"
    return (
        f"upright, without the head's roll, as a virtual camera of focal length {lens.focal_px:g} px sees them from "
        f"{lens.distance_mm:g} mm (Zhang et al., ETRA 2018); or, where the camera is not known, {squares}"
    )


def lens_of(side: int) -> Lens:
    """The virtual camera of normalised faces of this side, px."""
    return Lens(FACE.focal_px * side / FACE.size_px, FACE.distance_mm, side)
