"""Where heads are and where they look: the canonical frame of a head, the world, and the camera.

In the canonical frame x points to the picture's right when the head is seen from the front, y up, and z out of the face.
`FaceInputs.pose` and `scale` take it to the world, x_world = scale R x + t, and `world_to_camera` to the camera of
`gaze.geometry`: x right, y down, z into the scene. Gaze labels are pitch and yaw in the head's y-down frame, which is the
canonical one turned by half a turn about x: so (0, 0) looks along the canonical z, positive pitch up, positive yaw to -x.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.exact import exact
from gaze.geometry import pitch_yaw_to_vector, vector_to_pitch_yaw
from gaze.rotations import quaternion_product, quaternion_to_matrix, vector_to_matrix, vector_to_quaternion
from gaze.types import FaceInputs


def gaze_axis(gaze: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors in the canonical frame, of pitch and yaw in radians."""
    x, y, z = pitch_yaw_to_vector(gaze).unbind(-1)
    return torch.stack([x, -y, -z], -1)


def gaze_turn(gaze: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 4"]:
    """Quaternions R_y(-yaw) R_x(-pitch) of the canonical frame, which turn (0, 0, 1) to the gaze axis without a roll."""
    pitch, yaw = gaze.unbind(-1)
    zero = torch.zeros_like(pitch)
    up = vector_to_quaternion(torch.stack([-pitch, zero, zero], -1))
    aside = vector_to_quaternion(torch.stack([zero, -yaw, zero], -1))
    return quaternion_product(aside, up)


def to_world(
    points: Float[Tensor, "*#b g 3"], pose: Float[Tensor, "*#b 6"], scale: Float[Tensor, "*#b"]
) -> Float[Tensor, "*b g 3"]:
    """Points of the world, of points of the canonical frame."""
    with exact(pose):
        turned = points.to(pose.dtype) @ vector_to_matrix(pose[..., :3]).mT
        return scale[..., None, None] * turned + pose[..., None, 3:]


def to_canonical(
    points: Float[Tensor, "*#b g 3"], pose: Float[Tensor, "*#b 6"], scale: Float[Tensor, "*#b"]
) -> Float[Tensor, "*b g 3"]:
    """Points of the canonical frame, of points of the world."""
    with exact(pose):
        return ((points - pose[..., None, 3:]) @ vector_to_matrix(pose[..., :3])) / scale[..., None, None]


def camera_gaze(inputs: FaceInputs) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors in the camera frame."""
    return _seen(inputs, gaze_axis(inputs.gaze))


def camera_head(inputs: FaceInputs) -> Float[Tensor, "*b 2"]:
    """Pitch and yaw of where heads face, in the camera frame, radians."""
    ahead = torch.zeros_like(inputs.pose[..., :3])
    return vector_to_pitch_yaw(_seen(inputs, torch.cat([ahead[..., :2], ahead[..., 2:] + 1], -1)))


def scaled_camera(camera: Float[Tensor, "*b 3 3"], factor: float) -> Float[Tensor, "*b 3 3"]:
    """Matrices for pictures whose sides are `factor` times as long; exact, as pixels are counted from corners."""
    return camera * camera.new_tensor([[factor], [factor], [1.0]])


def _seen(inputs: FaceInputs, axis: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    with exact(axis):
        turn = quaternion_to_matrix(vector_to_quaternion(inputs.pose[..., :3]))
        return (inputs.world_to_camera[..., :3, :3] @ turn @ axis[..., None])[..., 0]
