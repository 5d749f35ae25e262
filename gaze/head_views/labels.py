"""What is known of head views beside their pictures, in the conventions of gaze/head_frames.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.head_frames import camera_gaze, camera_head, scaled_camera, to_canonical
from gaze.types import FaceInputs


@dataclass(frozen=True)
class HeadLabels:
    """One row per view, float32. Frames and units are those of `FaceInputs` and `FaceTargets`; the camera is the file's."""

    gaze: Float[Tensor, "n 2"]  # in the head's frame
    code: Float[Tensor, "n c"]  # all of it
    pose: Float[Tensor, "n 6"]
    scale: Float[Tensor, "n"]
    world_to_camera: Float[Tensor, "n 4 4"]
    camera: Float[Tensor, "n 3 3"]  # px of the stored picture
    landmarks: Float[Tensor, "n l 3"]  # canonical; some vertices behind them
    camera_gaze: Float[Tensor, "n 3"]
    camera_head: Float[Tensor, "n 2"]
    camera_index: Int[Tensor, "n"]  # -1 unknown
    frame: Int[Tensor, "n"]  # number within the person; views of one frame share it; -1 unknown

    def __len__(self) -> int:
        return len(self.gaze)

    def rows(self, rows: Int[Tensor, "m"]) -> HeadLabels:
        """Those of some views."""
        return HeadLabels(**{name: values[rows] for name, values in vars(self).items()})

    def inputs(self, identity: slice, expression: slice, scaling: float, sample: Int[Tensor, "n"]) -> FaceInputs:
        """What a model is told of each view.

        Args:
            identity, expression: parts of the code.
            scaling: side of the pictures in parts of the stored ones'.
            sample: rows of the corrections that a model stores.
        """
        return FaceInputs(
            gaze=self.gaze,
            identity=self.code[:, identity],
            expression=self.code[:, expression],
            pose=self.pose,
            scale=self.scale,
            world_to_camera=self.world_to_camera,
            camera=scaled_camera(self.camera, scaling),
            sample=sample,
        )


def joined(parts: list[HeadLabels]) -> HeadLabels:
    """The rows of several files, one behind the other."""
    return HeadLabels(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def converted(arrays: Mapping[str, np.ndarray], vertices: Float[np.ndarray, "n v 3"]) -> HeadLabels:
    """Labels of a file's arrays as they are stored; computed in double precision.

    Args:
        arrays: by the names of the layout, one row per view.
        vertices: those that are kept, in the camera frame.
    """
    told = {name: torch.from_numpy(np.asarray(values, dtype=np.float64)) for name, values in arrays.items()}
    views = len(told["pose"])
    turn, shift = told["w2c_Rmat"], told["w2c_Tvec"]
    world_to_camera = torch.eye(4, dtype=torch.float64).repeat(views, 1, 1)
    world_to_camera[:, :3, :3], world_to_camera[:, :3, 3] = turn, shift
    seen = torch.cat([told["facial_landmarks_3d"], torch.from_numpy(vertices).double()], 1)
    world = (seen - shift[:, None]) @ turn  # R^T (x - t), of points as rows
    gaze = told["pitchyaw_head"] * torch.tensor([-1.0, 1.0])  # stored pitch is positive downwards
    unknown = torch.full((views,), -1)
    labels = HeadLabels(
        gaze=gaze,
        code=told["latent_codes"],
        pose=told["pose"],
        scale=told["scale"],
        world_to_camera=world_to_camera,
        camera=told["inmat"],
        landmarks=to_canonical(world, told["pose"], told["scale"]),
        camera_gaze=torch.zeros(views, 3),
        camera_head=torch.zeros(views, 2),
        camera_index=told["cam_index"].long() if "cam_index" in told else unknown,
        frame=told["frame_index"].long() if "frame_index" in told else unknown,
    )
    inputs = labels.inputs(slice(0), slice(0), 1.0, unknown)
    values = vars(labels) | {"camera_gaze": camera_gaze(inputs), "camera_head": camera_head(inputs)}
    return HeadLabels(**{name: v.float() if v.is_floating_point() else v for name, v in values.items()})
