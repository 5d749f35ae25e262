"""Gaze redirection, first stage: a head as a mesh, drawn as one Gaussian for each vertex."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.head_mesh import HeadMesh
from gaze.backbones.mesh_head import MeshHead
from gaze.head_frames import scaled_camera
from gaze.rasterize.gaussians import Gaussians
from gaze.types import FaceInputs, FacePrediction

SPREAD = 0.55  # standard deviation of a Gaussian, cells of the grid: neighbours overlap, and edges stay sharp
OPACITY = 0.95


class MeshAvatar(nn.Module):
    """Stage 1 of GazeGaussian (Wei et al., ICCV 2025) without a rasteriser of triangles.

    Vertices are drawn as round Gaussians of one size and opacity, by what stage 2 is drawn by. What they cover is the soft
    silhouette. Only RGB is drawn: no loss of this stage sees the other channels of colours.

    Args:
        backbone: makes meshes of the inputs.
        rasterize: draws Gaussians.
        image_size: side of the pictures, px; what `FaceInputs.camera` is meant for.
        feature_size: side of what is drawn, px, before it is enlarged; None: `image_size`.

    Raises:
        ValueError: `feature_size` does not divide `image_size`.
    """

    def __init__(
        self, backbone: MeshHead, rasterize: nn.Module, image_size: int = 512, feature_size: int | None = None
    ) -> None:
        super().__init__()
        feature_size = image_size if feature_size is None else feature_size
        if feature_size < 1 or image_size % feature_size:
            raise ValueError(
                f"model.feature_size is {feature_size}; expected a divisor of model.image_size={image_size}"
            )
        self.backbone, self.rasterize = backbone, rasterize
        self.image_side, self.feature_side = image_size, feature_size

    def forward(self, inputs: FaceInputs) -> FacePrediction:
        mesh: HeadMesh = self.backbone(inputs)
        camera = scaled_camera(inputs.camera, self.feature_side / self.image_side)
        gaussians = self.gaussians(mesh, inputs.scale)
        rendered = self.rasterize(gaussians, inputs.world_to_camera, camera, (self.feature_side,) * 2)
        return FacePrediction(
            image=self._shown(rendered.feature),
            alpha=self._shown(rendered.alpha[:, None])[:, 0],
            depth=rendered.depth,
            landmarks=mesh.landmarks,
            deformation=mesh.deformation,
            surface_distance=mesh.surface_distance,
            roughness=mesh.roughness,
        )

    def gaussians(self, mesh: HeadMesh, scale: Float[Tensor, "b"]) -> Gaussians:
        """A Gaussian for each vertex, in the world; their features are RGB."""
        points = mesh.points
        straight = torch.zeros_like(points[..., :1]).expand(-1, -1, 4) + points.new_tensor([1.0, 0.0, 0.0, 0.0])
        size = SPREAD * self.backbone.spacing * scale[:, None, None]
        return Gaussians(
            mean=points,
            quaternion=straight,
            scale=size.expand_as(points),
            opacity=torch.full_like(points[..., 0], OPACITY),
            feature=mesh.colours[..., :3],
        )

    def _shown(self, drawn: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
        """What was drawn, at the size of pictures."""
        if self.feature_side == self.image_side:
            return drawn
        return F.interpolate(drawn, (self.image_side,) * 2, mode="bilinear", align_corners=False)
