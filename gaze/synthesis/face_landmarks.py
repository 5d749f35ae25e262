"""Landmarks of rendered faces, at the indices of MediaPipe's FaceMesh; the points that nobody computes are NaN.

The 71 points of the project's default set: rings and irises of both eyes, brows, and nine of nose, mouth, chin,
forehead and cheeks.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.eyelids import LID_PLANE, lids_of
from gaze.synthesis.faces import Faces, eyes_of
from gaze.synthesis.skulls import CENTRE_Y, CENTRE_Z, NOSE_END, brow_arc

POINTS = 478
# Each eye's ring from the outer corner along the lower lid to the inner corner, then from the outer corner along the
# upper lid; brows from outside to inside, lower edge and upper edge; irises: middle, image right, top, image left, bottom.
RINGS = (
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
)
BROWS = ((276, 283, 282, 295, 285, 300, 293, 334, 296, 336), (46, 53, 52, 65, 55, 70, 63, 105, 66, 107))
IRISES = ((473, 474, 475, 476, 477), (468, 469, 470, 471, 472))
NOSE_TIP, NOSE_BRIDGE, NOSE_ROOT, MOUTH_RIGHT, MOUTH_LEFT, CHIN, FOREHEAD, CHEEK_RIGHT, CHEEK_LEFT = (
    *(1, 6, 168, 61, 291, 152, 10, 234, 454),
)
SIDES = (1.0, -1.0)  # of the left and the right eye along the head's x


def landmarks_of(faces: Faces) -> Float[Tensor, "b 478 3"]:
    """x and y as fractions of the frame, and depth behind the head's origin in units of x."""
    points = torch.full((len(faces), POINTS, 3), torch.nan, dtype=faces.position.dtype)
    for eye, side in enumerate(SIDES):
        points[:, list(RINGS[eye])] = _ring(faces, eye, side)
        points[:, list(BROWS[eye])] = _brow(faces, side)
    points[:, [NOSE_TIP, NOSE_BRIDGE, NOSE_ROOT]] = _nose(faces)
    points[:, [MOUTH_RIGHT, MOUTH_LEFT, CHIN, FOREHEAD, CHEEK_RIGHT, CHEEK_LEFT]] = _outline(faces)
    points = points @ faces.rotation.mT + faces.position[:, None]
    for eye in range(2):
        points[:, list(IRISES[eye])] = _iris(faces, eye)
    pixels = faces.view.project(points)
    distance = faces.position[:, None, 2:]
    depth = faces.view.focal[:, None, None] * (points[..., 2:] / distance - 1) / faces.view.size[:, None, :1]
    return torch.cat([pixels / faces.view.size[:, None], depth], -1)


def _ring(faces: Faces, eye: int, side: float) -> Float[Tensor, "b 16 3"]:
    lids = lids_of(faces, eyes_of(faces)).map(lambda t: t[:, eye, None])
    place = torch.linspace(1, -1, 9, dtype=faces.position.dtype)
    x = lids.fissure * place
    _, upper, lower = lids.margins(x)
    across, down = torch.cat([x, x[:, 1:8]], 1), torch.cat([lower, upper[:, 1:8]], 1)
    person = faces.subject
    front = LID_PLANE * person.eye_radius[:, None].expand_as(across)
    return torch.stack([side * (person.eye_distance[:, None] / 2 + across), down, front], -1)


def _brow(faces: Faces, side: float) -> Float[Tensor, "b 10 3"]:
    person = faces.subject
    across = torch.linspace(2.2, -1.7, 5, dtype=faces.position.dtype).repeat(2).expand(len(faces), 10)
    edge = torch.tensor([1.0] * 5 + [-1.0] * 5)
    y = brow_arc(person.brow[:, :1], across) + edge * person.brow[:, 1:]
    front = LID_PLANE * person.eye_radius[:, None].expand_as(across)
    return torch.stack([side * (person.eye_distance[:, None] / 2 + across), y, front], -1)


def _iris(faces: Faces, eye: int) -> Float[Tensor, "b 5 3"]:
    """Its middle and four points of its rim, camera frame."""
    eyes, person = eyes_of(faces), faces.subject
    axis = eyes.optical[:, eye]
    angle = (person.iris_radius / person.eye_radius)[:, None]
    right = faces.rotation[..., 0]
    right = torch.nn.functional.normalize(right - (right * axis).sum(-1, keepdim=True) * axis, dim=-1)
    below = torch.linalg.cross(right, axis)  # towards +y where right is +x and the axis -z
    steps = torch.stack([torch.zeros_like(right), right, -below, -right, below], 1)
    ahead = torch.tensor([0.0, 1, 1, 1, 1], dtype=angle.dtype)[:, None] * angle[:, None]
    offset = ahead.cos() * axis[:, None] + ahead.sin() * steps
    return eyes.centre[:, eye, None] + person.eye_radius[:, None, None] * offset


def _nose(faces: Faces) -> Float[Tensor, "b 3 3"]:
    """Tip, bridge and root on the middle line."""
    y = torch.tensor([0.85 * NOSE_END, 1.2, 0.0], dtype=faces.position.dtype).expand(len(faces), 3)
    out = torch.tensor([0.9, 0.3, 0.1], dtype=faces.position.dtype) * faces.subject.nose[:, :1]
    x = torch.zeros_like(y)
    return torch.stack([x, y, _surface(faces, x, y) - out], -1)


def _outline(faces: Faces) -> Float[Tensor, "b 6 3"]:
    """Corners of the mouth, chin, forehead and cheeks."""
    person = faces.subject
    half, nothing, width = person.mouth[:, 1], torch.zeros_like(person.mouth[:, 1]), 0.93 * person.head_axes[:, 0]
    below, height = person.mouth[:, 0], person.head_axes[:, 1]
    x = torch.stack([-half, half, nothing, nothing, -width, width], 1)
    y = torch.stack([below, below, 0.93 * height + CENTRE_Y, -0.7 * height + CENTRE_Y, 0.1 * below, 0.1 * below], 1)
    return torch.stack([x, y, _surface(faces, x, y)], -1)


def _surface(faces: Faces, x: Float[Tensor, "b n"], y: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """z of the front of the head."""
    ax, ay, az = faces.subject.head_axes[:, :, None].unbind(1)
    inside = 1 - (x / ax).square() - ((y - CENTRE_Y) / ay).square()
    return az * (CENTRE_Z - inside.clamp_min(0).sqrt())
