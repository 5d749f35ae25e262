"""What the h5 files of ETH-XGaze renders say of heads, by their keys and in their conventions.

Gaze labels of the files are pitch and yaw in the head's y-down frame with positive pitch down; in the canonical frame
that is (-cos p sin y, -sin p, cos p cos y). See `gaze.head_frames` for the conventions of the records.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy import ndarray
from torch import Tensor

from gaze.head_frames import camera_gaze, to_world
from gaze.rotations import vector_to_matrix
from gaze.synthesis.head_anatomy import anatomy_of
from gaze.synthesis.head_landmarks import landmarks_of, vertices_of
from gaze.synthesis.head_renderer import HeadPictures
from gaze.synthesis.head_shots import HeadShots
from gaze.types import FaceInputs

CODES = 251  # identity, expression, then texture and illumination, which nobody reads
MILLIMETRES = 100.0  # in a unit of the canonical frame
TARGET_MM = 600.0  # from the face along the gaze
SCREEN_PX = 4.0  # in a mm of the screen that `pitchyaw` is told for
FACE_POINTS = (36, 39, 42, 45, 48, 54)  # corners of eyes and mouth; their mean is where gaze begins


def h5_arrays(shots: HeadShots, pictures: HeadPictures, eye_scale: float) -> Mapping[str, Shaped[ndarray, "n ..."]]:
    """All keys of a file, the first axis of each being the pictures."""
    inputs = shots.inputs
    anatomy = anatomy_of(inputs.identity, inputs.expression, eye_scale)
    landmarks = _seen(landmarks_of(anatomy), inputs)
    turn, shift = inputs.world_to_camera[:, :3, :3], inputs.world_to_camera[:, :3, 3]
    target = MILLIMETRES * landmarks[:, FACE_POINTS].mean(1) + TARGET_MM * camera_gaze(inputs)
    codes = torch.zeros(len(turn), CODES - inputs.identity.shape[1] - inputs.expression.shape[1])
    numbers = {
        "facial_landmarks": _projected(landmarks, inputs.camera),
        "facial_landmarks_3d": landmarks,
        "vertice": _seen(vertices_of(anatomy), inputs),
        "latent_codes": torch.cat([inputs.identity, inputs.expression, codes], -1),
        "pose": inputs.pose,
        "scale": inputs.scale[:, None],
        "w2c_Rmat": turn,
        "w2c_Tvec": shift,
        "c2w_Rmat": turn.mT,
        "c2w_Tvec": -(turn.mT @ shift[..., None])[..., 0],
        "inmat": inputs.camera,
        "inv_inmat": torch.linalg.inv(inputs.camera),
        "pitchyaw_head": inputs.gaze * inputs.gaze.new_tensor([-1, 1]),
        "face_head_pose": _head_angles(inputs),
        "pitchyaw": SCREEN_PX * target[:, :2],
        "pitchyaw_3d": target,
    }
    masks = {name: 255 * getattr(pictures, name).byte() for name in ("head_mask", "left_eye_mask", "right_eye_mask")}
    bgr = pictures.image.flip(1).permute(0, 2, 3, 1)
    places = {"cam_index": shots.view[:, None].byte(), "frame_index": shots.frame[:, None].byte()}
    doubles = {name: value.double() for name, value in numbers.items()}
    return {k: np.ascontiguousarray(v.numpy()) for k, v in {"face_patch": bgr, **masks, **doubles, **places}.items()}


def _seen(points: Float[Tensor, "b g 3"], inputs: FaceInputs) -> Float[Tensor, "b g 3"]:
    """Points of the cameras' frames, of points of the canonical ones."""
    world = to_world(points, inputs.pose, inputs.scale)
    return world @ inputs.world_to_camera[:, :3, :3].mT + inputs.world_to_camera[:, None, :3, 3]


def _projected(points: Float[Tensor, "b g 3"], camera: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b g 2"]:
    seen = points @ camera.mT
    return seen[..., :2] / seen[..., 2:]


def _head_angles(inputs: FaceInputs) -> Float[Tensor, "b 2"]:
    """Pitch and yaw of the third column of the head's rotation, which points into the head."""
    turn = inputs.world_to_camera[:, :3, :3] @ vector_to_matrix(inputs.pose[:, :3])
    x, y, z = (-turn[:, :, 2]).unbind(-1)
    return torch.stack([y.asin(), torch.atan2(x, z)], -1)
