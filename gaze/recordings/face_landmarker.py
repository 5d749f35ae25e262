"""MediaPipe's landmarker for preparation: opened in each process, when its first picture comes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from gaze.inference.landmarker import SHA256, Landmarker, NoFace, SeveralFaces, check_model
from gaze.landmarks.points import COUNT
from gaze.recordings.landmarking import FoundFace


class FaceLandmarker:
    """The one face of a picture, as `gaze.inference.landmarker.Landmarker` finds it; can be pickled.

    Args:
        model: the file face_landmarker.task.
        sha256: the digest that the file must have.
        confidence: faces that are less likely than this, 0 to 1, are not found.

    Raises:
        UserError: MediaPipe or the file is missing, or it is another file; before any picture is read.
    """

    def __init__(self, model: str | None = None, sha256: str = SHA256, confidence: float = 0.5) -> None:
        check_model(model, sha256)
        self._settings: dict[str, Any] = {"model": model, "sha256": sha256, "confidence": confidence}
        self._open: Landmarker | None = None
        self._process = -1

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": None, "_process": -1}

    def __call__(self, image: UInt8[Tensor, "3 H W"]) -> FoundFace | None:
        """The face; None where there is none, and its landmarks NaN where there are several."""
        if self._open is None or self._process != os.getpid():  # MediaPipe's threads don't live on in a fork
            self._open, self._process = Landmarker(**self._settings), os.getpid()
        try:
            found = self._open("the frame", image)
        except NoFace:
            return None
        except SeveralFaces:
            return FoundFace(np.full((COUNT, 3), np.nan, np.float32), faces=2)
        return FoundFace(found.landmarks.numpy(), found.blendshapes.numpy())
