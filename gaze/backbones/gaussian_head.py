"""A head of 3D Gaussians in two streams: the face, and eyes that turn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gaze.avatars.codes import check_rotation, code_of
from gaze.avatars.eye_stream import EyeStream
from gaze.avatars.eyeballs import ball, eye_centres
from gaze.avatars.face_stream import FaceStream
from gaze.avatars.regions import EYES, LEFT_EYE, METRICS, RIGHT_EYE
from gaze.avatars.splats import sphere
from gaze.rasterize.gaussians import Gaussians
from gaze.types import FaceInputs

HEAD = ((0.0, 0.05, -0.35), (0.8, 1.05, 0.9))  # centre and half axes of where Gaussians are before stage 1 places them
EYE = (0.34, 0.17, 0.4)


class Streams(NamedTuple):
    """The Gaussians of b heads, in the world."""

    face: Gaussians
    eyes: Gaussians


class GaussianHead(nn.Module):
    """GazeGaussian's canonical head (Wei et al., ICCV 2025): what codes, pose and gaze make of a fixed set of Gaussians.

    Stage 1 says where they are: see `gaze.inits.MeshToGaussians`. Before that they are spread over an ellipsoid.

    Args:
        eye_rotation: how the points of eyes turn with the gaze; see `gaze.eye_rotations`. None: they don't.
        identity, expression: widths of the codes.
        landmarks: neutral ones with the vertices that follow them; the first 48 are iBUG's.
        face_points: Gaussians of the face; time and memory grow in proportion.
        eye_points: of each eye.
        eye_radius: canonical units.
        point_feature: numbers that describe a Gaussian.
        features: that are drawn; the first three are red, green, blue.
        width: of the networks' hidden layers.
        region_metric: of the distance to landmarks, near which the face follows the codes: "squared", as the released
            weights mean it, or "euclidean", as the paper says.

    Raises:
        ValueError: a number is too small to make a head of, the metric is unknown, or the rotation reads other codes.
    """

    landmarks: Tensor

    def __init__(
        self,
        eye_rotation: nn.Module | None = None,
        identity: int = 80,
        expression: int = 64,
        landmarks: int = 68,
        face_points: int = 140_000,
        eye_points: int = 2_000,
        eye_radius: float = 0.125,
        point_feature: int = 128,
        features: int = 32,
        width: int = 256,
        region_metric: str = "squared",
    ) -> None:
        super().__init__()
        least = {"landmarks": (landmarks, 48), "face_points": (face_points, 4), "eye_points": (eye_points, 4)}
        least |= {"features": (features, 3), "width": (width, 2)}
        for name, (value, fewest) in least.items():
            if value < fewest:
                raise ValueError(f"backbone.{name} is {value}; expected {fewest} or more")
        if region_metric not in METRICS:
            raise ValueError(f"backbone.region_metric is {region_metric!r}; expected one of {', '.join(METRICS)}")
        if not eye_radius > 0:
            raise ValueError(f"backbone.eye_radius is {eye_radius}; expected a length above 0 in canonical units")
        check_rotation(eye_rotation, identity, expression)
        self.identity, self.expression = identity, expression
        self.point_feature, self.features, self.width = point_feature, features, width
        self.eye_radius, self.region_metric = eye_radius, region_metric
        code = identity + expression
        self.face = FaceStream(face_points, code, point_feature, features, width, region_metric)
        self.eyes = EyeStream(eye_points, code, point_feature, features, width, eye_rotation)
        self.register_buffer("landmarks", torch.zeros(landmarks, 3))
        self._spread()

    def forward(self, inputs: FaceInputs) -> Streams:
        """The Gaussians of each sample's head, where its pose puts them.

        Raises:
            ValueError: codes are of other widths.
        """
        others = torch.cat([self.landmarks[: EYES.start], self.landmarks[EYES.stop :]])
        face = self.face(others, code_of(inputs, self.identity, self.expression), inputs.pose)
        return Streams(face.posed(inputs.pose, inputs.scale), self.turned_eyes(inputs))

    def turned_eyes(self, inputs: FaceInputs) -> Gaussians:
        """The Gaussians of each sample's eyes alone: all that the gaze has a part in."""
        code = code_of(inputs, self.identity, self.expression)
        eyes = self.eyes(eye_centres(self.landmarks, self.eye_radius), code, inputs.gaze)
        return eyes.posed(inputs.pose, inputs.scale)

    @torch.no_grad()
    def _spread(self) -> None:
        centre, axes = torch.tensor(HEAD)
        self.landmarks.copy_(centre + axes * sphere(2 * len(self.landmarks))[: len(self.landmarks)])
        for side, eye in ((-1, LEFT_EYE), (1, RIGHT_EYE)):
            self.landmarks[eye] = torch.tensor([side * EYE[0], *EYE[1:]])
        self.face.splats.place(centre + axes * sphere(len(self.face.splats)))
        balls = ball(len(self.eyes.splats) // 2, self.eye_radius)
        centres = eye_centres(self.landmarks, self.eye_radius)
        self.eyes.splats.place((centres[:, None] + balls).flatten(0, 1))
