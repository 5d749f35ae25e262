"""Faces of rendered heads as estimators for photographs know them: seen by a camera that was turned at the face.

f = 960 px, 600 mm, 224 px, as in GazeNeRF's and GazeGaussian's protocol, which finds the pose of the head from six landmarks
of the target. Here that pose is known with the view, and its unit follows from the distance of the outer corners of the
eyes, so that nothing has to be solved for.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.face_normalization import FACE, FaceView, normalize_faces, warp_faces
from gaze.head_frames import to_world
from gaze.head_pose import FACE_MM
from gaze.rotations import vector_to_matrix
from gaze.types import FaceInputs

CORNERS = (36, 39, 42, 45)  # of the eyes, of 68 landmarks or of 66 without the corners of the mouth
NOSE = (31, 35)
EYES_MM = FACE_MM[3][0] - FACE_MM[0][0]  # from one outer corner to the other


def face_views(inputs: FaceInputs, landmarks: Float[Tensor, "b l 3"] | None) -> FaceView:
    """The cameras that look at the faces of views; on the inputs' device, in double precision.

    Args:
        landmarks: in the canonical frame, as `FaceTargets` has them.

    Raises:
        UserError: the data set gives none.
    """
    if landmarks is None or landmarks.shape[1] < 66:
        found = "none" if landmarks is None else f"{landmarks.shape[1]}"
        raise UserError(
            f"redirection.renormalise needs 66 or 68 landmarks, and the data set gives {found}; set it to false"
        )
    world = to_world(landmarks.double(), inputs.pose.double(), inputs.scale.double())
    view = inputs.world_to_camera.double()
    points = world @ view[:, :3, :3].mT + view[:, None, :3, 3]
    apart = (points[:, CORNERS[0]] - points[:, CORNERS[3]]).norm(dim=-1)
    centre = (points[:, CORNERS].mean(1) + points[:, NOSE].mean(1)) / 2 * (EYES_MM / apart)[:, None]
    down = torch.diag(points.new_tensor([1.0, -1.0, -1.0]))  # from the head's frame with y down to the canonical one
    rotation = view[:, :3, :3] @ vector_to_matrix(inputs.pose[:, :3].double()) @ down
    return normalize_faces(inputs.camera.double(), rotation, centre, FACE)


def renormalised(image: Float[Tensor, "b 3 H W"], views: FaceView) -> Float[Tensor, "b 3 h w"]:
    """The pictures of these cameras, white where the given ones have ended."""
    return 1 - warp_faces(1 - image, views.warp, FACE.size_px)
