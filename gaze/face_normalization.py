"""Faces as a virtual camera sees them that was turned at the face and stands at a fixed distance (Zhang et al., ETRA 2018).

Lengths are mm in the camera frame, pixels as in `gaze.geometry`: (0, 0) is the corner of the first pixel. A calibration by
OpenCV has (0, 0) in that pixel's middle: add 0.5 to both numbers of its principal point. Published face pictures were
made without, and so lie half a pixel, 0.03 degrees, beside ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor


class Lens(NamedTuple):
    """The virtual camera: the picture is square, and the face in its middle."""

    focal_px: float
    distance_mm: float
    size_px: int


FACE = Lens(960, 600, 224)  # GazeHub; ETH-XGaze's 224 px release
FACE_LARGE = Lens(960, 300, 448)  # the same view at twice the size
EYE = Lens(1800, 600, 128)
DUMMY = Lens(860, 320, 448)  # UniGaze's, for Gaze360, whose own faces are not normalised


@dataclass(frozen=True)
class FaceView:
    """The virtual cameras of b faces."""

    rotation: Float[Tensor, "*b 3 3"]  # R, from the camera frame to theirs
    scale: Float[Tensor, "*b"]  # of depth: the third entry of S
    warp: Float[Tensor, "*b 3 3"]  # W, from pixels of the photograph to theirs

    def turned(self, vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Directions as the virtual cameras see them; gaze labels are turned only, never scaled."""
        return (self.rotation @ vector[..., None])[..., 0]

    def turned_back(self, vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Directions in the camera frame, of those that the virtual cameras see: of a model's predictions."""
        return (self.rotation.mT @ vector[..., None])[..., 0]

    def head(self, rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
        """Head rotations as the virtual cameras see them; `gaze.gaze_frames.facing` gives their direction."""
        return self.rotation @ rotation

    def points(self, point_mm: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Points of the camera frame in the virtual cameras' scaled space."""
        turned = self.turned(point_mm)
        return torch.cat([turned[..., :2], turned[..., 2:] * self.scale[..., None]], -1)

    def pixels(self, point_px: Float[Tensor, "*b k 2"]) -> Float[Tensor, "*b k 2"]:
        """Pixels of the face pictures, of k pixels of the photographs, such as landmarks."""
        return _through(self.warp, point_px)


def pinhole(width_px: float, height_px: float, focal_px: float | None = None) -> Float[Tensor, "3 3"]:
    """The matrix of a camera whose axis meets the middle of its picture.

    Args:
        focal_px: None where the camera is not calibrated: the width, which sees 53 degrees from left to right. Angles
            against the camera depend on that guess, those against the virtual camera much less.
    """
    focal = focal_px or width_px
    return torch.tensor([[focal, 0, width_px / 2], [0, focal, height_px / 2], [0, 0, 1]], dtype=torch.float64)


def project(point_mm: Float[Tensor, "*b k 3"], camera: Float[Tensor, "*#b 3 3"]) -> Float[Tensor, "*b k 2"]:
    """Pixels at which a camera sees k points of its frame."""
    seen = point_mm @ camera.mT
    return seen[..., :2] / seen[..., 2:]


def normalize_faces(
    camera: Float[Tensor, "*#b 3 3"],
    head_rotation: Float[Tensor, "*b 3 3"],
    centre_mm: Float[Tensor, "*b 3"],
    lens: Lens = FACE,
) -> FaceView:
    """Virtual cameras that look at the centres of faces, turned about that axis so that heads have no roll.

    Heads seen from behind would be upside down by the published formula, which never met any; here they are upright. A
    head seen exactly from its side has no roll: there the vertical of the photograph is kept.

    Args:
        camera: matrix of the camera that took the photograph; see `pinhole`.
        head_rotation: R_h, from the head's frame (x to the picture's right, y down, z into the head) to the camera's.
        centre_mm: of the face, in the camera frame.
    """
    distance = centre_mm.norm(dim=-1)
    z = centre_mm / distance[..., None]
    behind = (z * head_rotation[..., 2]).sum(-1, keepdim=True) < 0
    y = torch.linalg.cross(z, head_rotation[..., 0])
    y = torch.where(behind, -y, y)
    profile = y.norm(dim=-1, keepdim=True) < 1e-6
    y = F.normalize(torch.where(profile, torch.linalg.cross(z, _right(z)), y), dim=-1)
    rotation = torch.stack([F.normalize(torch.linalg.cross(y, z), dim=-1), y, z], -2)
    scale = lens.distance_mm / distance
    depth = torch.stack([torch.ones_like(scale), torch.ones_like(scale), scale], -1)
    side = lens.size_px
    warp = pinhole(side, side, lens.focal_px).to(camera) @ (depth[..., None] * rotation) @ torch.linalg.inv(camera)
    return FaceView(rotation, scale, warp)


def warp_faces(
    image: Shaped[Tensor, "b 3 H W"], warp: Float[Tensor, "b 3 3"], size_px: int
) -> Shaped[Tensor, "b 3 {size_px} {size_px}"]:
    """Square face pictures cut from photographs, in their type; black where a photograph has ended.

    Bilinear, as published: shrink a photograph first, and its camera's matrix with it, where a face in it is more than
    twice as large as the picture to be made.

    Args:
        warp: `FaceView.warp`.
    """
    height, width = image.shape[-2:]
    side = torch.arange(size_px, device=image.device, dtype=warp.dtype) + 0.5
    y, x = torch.meshgrid(side, side, indexing="ij")
    target = torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)
    source = target @ torch.linalg.inv(warp).mT
    source = source / source[:, size_px * (size_px // 2) + size_px // 2, 2][:, None, None]  # 1 in the middle: in front
    depth = source[..., 2:]
    place = 2 * source[..., :2] / depth / source.new_tensor([width, height]) - 1
    grid = torch.where(depth > 0, place, 2.0).unflatten(1, (size_px, size_px)).float()
    seen = F.grid_sample(image.float(), grid, align_corners=False)
    return seen if image.is_floating_point() else seen.round().to(image.dtype)


def _through(warp: Float[Tensor, "*b 3 3"], point_px: Float[Tensor, "*b k 2"]) -> Float[Tensor, "*b k 2"]:
    return project(torch.cat([point_px, torch.ones_like(point_px[..., :1])], -1), warp)


def _right(z: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    return torch.zeros_like(z) + z.new_tensor([1.0, 0.0, 0.0])
