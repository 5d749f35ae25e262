"""Faces in front of a camera: all that decides a rendered picture and its labels, and the geometry of their eyes.

Camera frame of gaze/geometry.py (x right, y down, z away from the camera), cm. A head's own frame has x to the
person's left, y down and z into the head, with its origin midway between the eyeballs; the head faces its -z.
Eyes are in the order (left, right), the person's own: an unmirrored picture shows the left eye on its right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.geometry import pitch_yaw_to_vector, vector_to_pitch_yaw
from gaze.synthesis.face_subjects import Subjects
from gaze.synthesis.poses import rotation, unit
from gaze.types import Record


@dataclass(frozen=True)
class View(Record):
    """A pinhole camera: focal length, principal point and size of its pictures, px."""

    focal: Float[Tensor, "*b"]
    centre: Float[Tensor, "*b 2"]  # x, y
    size: Float[Tensor, "*b 2"]  # width, height

    def project(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 2"]:
        """Where points of the camera frame appear, (x, y) px."""
        return self.centre[..., None, :] + self.focal[..., None, None] * points[..., :2] / points[..., 2:]


@dataclass(frozen=True)
class Light(Record):
    """What falls on a face."""

    toward: Float[Tensor, "*b 3"]  # unit vector from the face to the light, camera frame
    ambient: Float[Tensor, "*b"]
    diffuse: Float[Tensor, "*b"]


@dataclass(frozen=True)
class Faces(Record):
    """A batch of faces, each looking at a point."""

    subject: Subjects
    view: View
    light: Light
    rotation: Float[Tensor, "*b 3 3"]  # head frame to camera frame
    position: Float[Tensor, "*b 3"]  # of the head's origin
    target: Float[Tensor, "*b 3"]  # the point looked at
    pupil: Float[Tensor, "*b"]  # radius
    aperture: Float[Tensor, "*b"]  # how far the eyes are open, 1 normal; 0 closed
    background: Float[Tensor, "*b 3"]  # RGB in [0, 1]

    def __len__(self) -> int:
        return len(self.position)

    def rows(self, index: Tensor | slice) -> Faces:
        """Some of the faces."""
        return self.map(lambda t: t[index])

    def looking_at(self, target: Float[Tensor, "*b 3"]) -> Faces:
        """The same people in the same light and pose with another gaze: a pair for gaze redirection."""
        return replace(self, target=target)


@dataclass(frozen=True)
class Eyes(Record):
    """Both eyes of each face, camera frame."""

    centre: Float[Tensor, "*b 2 3"]  # of the eyeballs
    visual: Float[Tensor, "*b 2 3"]  # unit vector to what is looked at
    optical: Float[Tensor, "*b 2 3"]  # unit vector through the middle of the iris


def head_rotation(
    pitch: Float[Tensor, "*b"], yaw: Float[Tensor, "*b"], roll: Float[Tensor, "*b"]
) -> Float[Tensor, "*b 3 3"]:
    """The matrix from a head's frame to the camera's: it faces (pitch, yaw) and is then rolled in the picture, rad.

    Rz(roll) Ry(-yaw') Rx(down) with yaw' = -yaw and down = -pitch: Rz comes last, so that roll is what a picture shows.
    """
    zero = torch.zeros_like(roll)
    return rotation(zero, zero, roll) @ rotation(pitch, yaw, zero)


def eyes_of(faces: Faces) -> Eyes:
    """Where the eyes are and where they point.

    The optical axis lies temporal of the visual one and below it, by kappa; the two eyes mirror each other but for
    the asymmetry. Kappa is anatomy, so it is added to angles in the head's frame and rolls with the head.
    """
    person = faces.subject
    side = torch.tensor([1.0, -1.0], dtype=faces.position.dtype)
    across = side * person.eye_distance[..., None] / 2
    own = torch.stack([across, torch.zeros_like(across), person.eye_depth[..., None].expand_as(across)], -1)
    centre = own @ faces.rotation.mT + faces.position[..., None, :]
    visual = unit(faces.target[..., None, :] - centre)
    pitch, yaw = vector_to_pitch_yaw(visual @ faces.rotation).unbind(-1)
    temporal = side * (person.kappa_nasal[..., None] + side * person.kappa_asymmetry[..., None])
    optical = pitch_yaw_to_vector(torch.stack([pitch - person.kappa_up[..., None], yaw - temporal], -1))
    return Eyes(centre, visual, optical @ faces.rotation.mT)
