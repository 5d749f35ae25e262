"""Where a head is, and how it is turned, from six landmarks of its face and a camera's matrix."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.face_normalization import project

MISS = 0.2  # of the size of the face in the picture, mean distance of landmarks: more is no face

# Of MPIIGaze's generic face, mm, in the head's frame (x to the picture's right, y down, z into the head): outer and inner
# corner of the eye on the picture's left, inner and outer corner of the other, corners of the mouth from left to right.
FACE_MM = (
    (-45.0968, -0.4838, 2.3970),
    (-21.3129, 0.4838, -2.3970),
    (21.3129, 0.4838, -2.3970),
    (45.0968, -0.4838, 2.3970),
    (-26.2996, 68.5950, 0.0),
    (26.2996, 68.5950, 0.0),
)


class HeadPose(NamedTuple):
    """Of one head, in the camera frame."""

    rotation: Float[Tensor, "3 3"]  # from the head's frame
    translation_mm: Float[Tensor, "3"]
    centre_mm: Float[Tensor, "3"]  # of the face: the mean of the six landmarks, as of MPIIFaceGaze


def solve_head_pose(landmarks_px: Float[Tensor, "6 2"], camera: Float[Tensor, "3 3"]) -> HeadPose:
    """The pose that a generic face must have for its six landmarks, in the order of `FACE_MM`, to be seen at these pixels.

    Raises:
        UserError: OpenCV is missing, or finds no such pose.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            "the pose of a head from landmarks needs OpenCV, which is not installed: pip install 'gaze[detect]', or give "
            "face pictures that are normalised already"
        ) from error
    model = torch.tensor(FACE_MM, dtype=torch.float64)
    places, camera = landmarks_px.double(), camera.double()
    given = (model.numpy(), places.numpy(), camera.numpy(), None)
    try:
        _, turn, move = cv2.solvePnP(*given, flags=cv2.SOLVEPNP_EPNP)
        _, turn, move = cv2.solvePnP(*given, turn, move, True, flags=cv2.SOLVEPNP_ITERATIVE)
    except cv2.error as error:
        raise _nobody(landmarks_px) from error
    rotation = torch.from_numpy(cv2.Rodrigues(turn)[0])
    translation = torch.from_numpy(move).flatten()
    points = model @ rotation.mT + translation
    off = (project(points, camera) - places).norm(dim=-1).mean()
    if not (points[:, 2] > 0).all() or not off < MISS * (places.amax(0) - places.amin(0)).norm():
        raise _nobody(landmarks_px)
    return HeadPose(rotation, translation, points.mean(0))


def _nobody(landmarks_px: Float[Tensor, "6 2"]) -> UserError:
    found = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in landmarks_px.tolist())
    return UserError(
        f"no head has its landmarks at {found} px; expected corners of both eyes and of the mouth, each from the picture's "
        "left; look at the landmarks, or leave the face out"
    )
