"""Boxes of faces and eyes from a few landmarks, where a data set gives no boxes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gaze.recordings.sample import Box

MARGIN = 1.5  # the side of a box, in widths of what it shows


def face_box(landmarks: Float[np.ndarray, "6 2"]) -> Box:
    """The square around four eye corners, in order across the face, and two mouth corners.

    It is 1.5 times as wide as the outer eye corners are apart, or as the landmarks are high. The GazeHub scripts
    measure that height from the lowest y to the leftmost x, cut boxes at 1280 x 800, and round; here nothing does.
    """
    width = abs(landmarks[3, 0] - landmarks[0, 0])
    height = np.ptp(landmarks[:, 1])
    return _square(landmarks.mean(0), MARGIN * max(width, height))


def eye_boxes(landmarks: Float[np.ndarray, "l 2"]) -> tuple[Box, Box]:
    """Squares of the user's left and right eye from the corners of the one (rows 0, 1) and the other (rows 2, 3).

    The left eye is the one further right in the picture, which no camera here mirrors.
    """
    boxes = [
        _square(corners.mean(0), MARGIN * float(np.hypot(*(corners[1] - corners[0]))))
        for corners in (landmarks[0:2], landmarks[2:4])
    ]
    right, left = sorted(boxes, key=lambda box: box[0] + box[2] / 2)
    return left, right


def _square(centre: Float[np.ndarray, "2"], side: float) -> Box:
    x, y = centre.tolist()
    return x - side / 2, y - side / 2, float(side), float(side)
