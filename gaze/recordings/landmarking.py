"""Landmarks for frames that come without: the interface of what finds them, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.landmarks.boxes import eye_boxes, face_boxes, rejections
from gaze.recordings.landmark_json import LandmarkStore
from gaze.recordings.sample import Box, ScreenSample


@dataclass(frozen=True)
class FoundFace:
    """The face in a picture, or one of several."""

    landmarks: Float[np.ndarray, "478 3"]  # x, y as fractions of the frame; NaN missing. Not used of one of several
    blendshapes: Float[np.ndarray, "52"] | None = None
    faces: int = 1  # in the picture


@runtime_checkable
class Landmarker(Protocol):
    """Finds a face in an upright picture; can be pickled, so that each worker has its own."""

    def __call__(self, image: UInt8[Tensor, "3 H W"]) -> FoundFace | None:
        """The face, or None where there is none."""
        ...


def landmarked(
    sample: ScreenSample,
    frame: Callable[[], UInt8[Tensor, "3 H W"] | None],
    store: LandmarkStore | None,
    landmarker: Landmarker | None,
    own_boxes: bool,
) -> ScreenSample:
    """The sample with landmarks, if there are any, and with boxes drawn from them where it has none.

    What a data set says itself comes first, then the file of landmarks, then the landmarker.

    Args:
        sample: a frame with `frame_size`.
        frame: gives its pixels, if there are any; called only for the landmarker.
        store: landmarks by path.
        landmarker: finds landmarks in pixels.
        own_boxes: draw boxes from the landmarks even where the sample has some.
    """
    path = next((p for p in (sample.picture, sample.face) if p is not None and not isinstance(p, bytes)), None)
    if sample.landmarks is None and store is not None and path is not None:
        sample = replace(sample, landmarks=store.find(path))
    if sample.landmarks is None and landmarker is not None:
        image = frame()
        if image is not None:
            found = landmarker(image)
            sample = replace(sample, attrs={**sample.attrs, "faces": str(found.faces if found else 0)})
            if found is None or found.faces > 1:  # whose landmarks they are nobody knows; validation refuses the row
                return sample
            sample = replace(sample, landmarks=found.landmarks, blendshapes=found.blendshapes)
    if sample.landmarks is None or sample.frame_size is None:
        return sample
    return _boxed(sample, own_boxes)


def _boxed(sample: ScreenSample, own_boxes: bool) -> ScreenSample:
    """With boxes of the landmarks, and refused where they are too poor for boxes that are needed."""
    assert sample.landmarks is not None
    assert sample.frame_size is not None
    points = torch.from_numpy(np.asarray(sample.landmarks, np.float32))[None]
    size = torch.tensor([sample.frame_size[::-1]])
    left, right = eye_boxes(points, size)
    drawn = {"face_box": face_boxes(points, size), "left_eye_box": left, "right_eye_box": right}
    new: dict[str, Any] = {name: _box(box) for name, box in drawn.items() if own_boxes or getattr(sample, name) is None}
    if not new:
        return sample
    blendshapes = None if sample.blendshapes is None else torch.from_numpy(np.asarray(sample.blendshapes))[None]
    (reason,) = rejections(points, size, blendshapes)
    if reason and sample.valid:
        return replace(sample, **new, valid=False, reject_reason=reason)
    return replace(sample, **new)


def _box(box: Float[Tensor, "1 4"]) -> Box | None:
    x, y, w, h = box[0].tolist()
    return (x, y, w, h) if bool(box.isfinite().all()) else None
