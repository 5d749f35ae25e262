"""Boxes of faces and eyes as a detector would find them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.draws import Draws
from gaze.synthesis.eyelids import LID_PLANE
from gaze.synthesis.faces import Faces

EYE_MARGIN = 1.5  # side of an eye's box, in distances between the corners of the eye
FACE_SIDE, FACE_DOWN = 17.0, 2.2  # cm: side of a face's box, and its middle below the eyes
JITTER = 0.02  # deviation of place and size, parts of the side


def eye_corners(faces: Faces) -> Float[Tensor, "b 2 2 3"]:
    """The outer and inner corner of the left and the right eye, camera frame."""
    person = faces.subject
    side = person.fissure.new_tensor([1.0, -1.0])[:, None]  # left, right
    temporal = side.mT * person.fissure[:, None, None]  # outer, inner
    x = side * (person.eye_distance[:, None, None] / 2 + temporal)
    y = (-person.canthal_tilt[:, None, None] * temporal).expand_as(x)
    z = (LID_PLANE * person.eye_radius[:, None, None]).expand_as(x)
    return _placed(faces, torch.stack([x, y, z], -1).flatten(1, 2)).unflatten(1, (2, 2))


def boxes_of(faces: Faces) -> Float[Tensor, "b 3 4"]:
    """(x, y, w, h) px of face, left eye and right eye: squares, which may leave the frame."""
    corners = faces.view.project(eye_corners(faces).flatten(1, 2)).unflatten(1, (2, 2))
    eyes = corners.mean(2)
    eye_sides = EYE_MARGIN * (corners[:, :, 0] - corners[:, :, 1]).norm(dim=-1)
    below = torch.tensor([[0.0, FACE_DOWN, 0.0]], dtype=faces.position.dtype)
    face = faces.view.project(_placed(faces, below.expand(len(faces), 1, 3)))
    face_side = faces.view.focal * FACE_SIDE / faces.position[:, 2]
    sides = torch.cat([face_side[:, None], eye_sides], 1)[..., None].expand(-1, -1, 2)
    return torch.cat([torch.cat([face, eyes], 1) - sides / 2, sides], -1)


def jittered(boxes: Float[Tensor, "b k 4"], draws: Draws) -> Float[Tensor, "b k 4"]:
    """The boxes with a detector's noise in place and size; squares stay squares."""
    noise = JITTER * draws.normal(boxes.shape[1], 3)
    centres = boxes[..., :2] + boxes[..., 2:] * (0.5 + noise[..., :2])
    sides = boxes[..., 2:] * noise[..., 2:].exp()
    return torch.cat([centres - sides / 2, sides], -1)


def _placed(faces: Faces, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n 3"]:
    """Points of the heads' frames, in the camera's."""
    return points @ faces.rotation.mT + faces.position[:, None]
