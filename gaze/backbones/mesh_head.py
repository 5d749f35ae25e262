"""A head as a mesh that codes, pose and gaze colour and move: stage 1 of GazeGaussian (Wei et al., ICCV 2025)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.codes import check_rotation, code_of
from gaze.avatars.encoding import WIDTH, encoded
from gaze.avatars.eyeballs import eye_centres
from gaze.avatars.head_mesh import HeadMesh, NeutralSurface
from gaze.avatars.point_mlp import SLOPE, PointMLP, neutral
from gaze.avatars.regions import EYES, METRICS, Regions, closeness, nearest, regions
from gaze.avatars.shell import Shell, crossed, finer
from gaze.avatars.smoothness import roughness
from gaze.avatars.tetrahedra import HIGH, LOW, Surface, Tetrahedra, marched, tetrahedra
from gaze.errors import UserError
from gaze.exact import exact
from gaze.head_frames import to_world
from gaze.types import FaceInputs

REACH = 0.3  # most that codes or pose move a point, canonical units
WHOLLY_IN, WHOLLY_OUT = 1.2, 1.8  # radii from the centre of an eyeball: what turns with it, and what does not
AT_ONCE = 1 << 17  # points that networks are asked about at once where no gradient is kept


class MeshHead(nn.Module):
    """A neutral surface, which all samples share, and networks that colour and move its vertices for each of them.

    The surface is where a network's signed distance is zero on a grid of tetrahedra. Near landmarks vertices follow the
    codes, elsewhere the pose, and near eyes the gaze. Unlike the published stage 1, and like its stage 2, networks move
    neutral places, and eyes turn before the rest is added: so stage 2 begins with the very head that stage 1 ends with.

    Args:
        eye_rotation: how eyes turn; see `gaze.eye_rotations`. None: they don't.
        landmarks: how many a sample has, vertices behind them counted.
        identity, expression: numbers of the codes.
        point_feature: numbers that the geometry gives each vertex for its colour.
        features: channels of colours; the first three are RGB.
        width: of the hidden layers; those of the small networks are half as wide.
        resolution: cells along each side of the grid; 64 has as many corners as the published grid, 2.7e5.
        low, high: limits of the grid, canonical units.
        region_metric: what of the distance to the nearest landmark decides: "squared", as the released weights mean it,
            or "euclidean", as the paper says.
        eye_radius: of an eyeball, canonical units. Centres lie 0.8 of it behind the landmarks of the eyes.

    Raises:
        ValueError: a setting is out of range, or the rotation reads other codes.
    """

    grid_points: Tensor
    grid_corners: Tensor

    def __init__(
        self,
        eye_rotation: nn.Module | None = None,
        landmarks: int = 424,
        identity: int = 80,
        expression: int = 64,
        point_feature: int = 128,
        features: int = 32,
        width: int = 256,
        resolution: int = 64,
        low: Sequence[float] = LOW,
        high: Sequence[float] = HIGH,
        region_metric: str = "squared",
        eye_radius: float = 0.125,
    ) -> None:
        super().__init__()
        if region_metric not in METRICS:
            raise ValueError(f"backbone.region_metric is {region_metric!r}; expected one of {', '.join(METRICS)}")
        if landmarks < EYES.stop or features < 3:
            raise ValueError(
                f"backbone.landmarks is {landmarks} and backbone.features {features}; expected {EYES.stop} or more "
                "landmarks, of which 36 to 47 are of eyes, and 3 or more features, of which the first are RGB"
            )
        check_rotation(eye_rotation, identity, expression)
        self.identity, self.expression = identity, expression
        self.point_feature, self.features, self.width = point_feature, features, width
        self.resolution, self.region_metric, self.eye_radius = resolution, region_metric, eye_radius
        code, half = identity + expression, width // 2
        place, pose, gaze = 3 * WIDTH, 6 * WIDTH, 2 * WIDTH
        self.landmarks = nn.Parameter(torch.zeros(landmarks, 3))  # zeros until callback.neutral_landmarks fills them
        self.geometry = PointMLP(place, 0, [width] * 5, 1 + 3 + point_feature)
        self.shape_colour = PointMLP(point_feature, code, [width, width], features)
        self.pose_colour = PointMLP(point_feature, pose, [half], features)
        self.eye_colour = PointMLP(point_feature, gaze, [half], features)
        self.shape_deform = PointMLP(place, code, [width] * 5, 3)
        self.pose_deform = PointMLP(place, pose, [width, width], 3)
        for net in (self.geometry, self.shape_colour, self.pose_colour, self.eye_colour):
            keep_variance(net)
        self.eye_rotation = eye_rotation
        grid = tetrahedra(resolution, low, high)
        self.low, self.high = list(low), list(high)
        self.register_buffer("grid_points", grid.points, persistent=False)
        self.register_buffer("grid_corners", grid.corners, persistent=False)

    @property
    def spacing(self) -> float:
        """Mean side of a cell of the grid, canonical units."""
        return (sum(self.high) - sum(self.low)) / (3 * self.resolution)

    def forward(self, inputs: FaceInputs) -> HeadMesh:
        """The heads of b samples.

        Raises:
            ValueError: codes are of other widths.
            UserError: there is no surface any more.
        """
        code = code_of(inputs, self.identity, self.expression)
        surface = self.surface()
        parts = regions(surface.points, self.landmarks, self.region_metric)
        seen = encoded(surface.points)[None]
        by_shape = torch.tanh(self.shape_deform(seen, code))
        by_pose = torch.tanh(self.pose_deform(seen, encoded(inputs.pose)))
        moved = REACH * (parts.shape[:, None] * by_shape + parts.pose[:, None] * by_pose)
        points = self.turned(surface.points, parts.eye, inputs.gaze, code) + moved
        by_code = torch.tanh(self.shape_deform(encoded(self.landmarks)[None], code))
        distance = torch.tanh(self.signed_distance(self.landmarks))
        return HeadMesh(
            points=to_world(points, inputs.pose, inputs.scale),
            colours=self.colours(surface.feature, parts, inputs, code),
            triangles=surface.triangles,
            landmarks=self.landmarks + REACH * by_code,
            deformation=by_shape.square().sum(-1).mean() + by_pose.square().sum(-1).mean(),
            surface_distance=distance.abs().mean(),
            roughness=roughness(points, surface.triangles),
        )

    def signed_distance(self, points: Float[Tensor, "g 3"]) -> Float[Tensor, "g"]:
        """About how far points are outside of the neutral head, canonical units, before it is squashed by tanh."""
        with exact(points):
            return self.geometry(encoded(points)[None])[0, :, 0]

    def surface(self) -> Surface:
        """The neutral surface of the grid. It is the same for all samples, so a step computes it once."""
        found = self._geometry(self.grid_points)
        points = self._moved(self.grid_points, found)
        surface = marched(points, found[:, 0], found[:, 4:], self.grid_corners)
        return _there(surface)

    def neutral_surface(self) -> NeutralSurface:
        """The surface that stage 2 begins with."""
        return next(self.finer_surfaces())

    def finer_surfaces(self) -> Iterator[NeutralSurface]:
        """The neutral surface, and the same at twice the resolution each time, by cutting tetrahedra into eight.

        Only tetrahedra about the surface are cut, and the network is asked about their new corners alone. There are no
        gradients.

        Raises:
            UserError: there is no surface any more.
        """
        shell = Shell(Tetrahedra(self.grid_points, self.grid_corners), self._distances(self.grid_points))
        while True:
            points, corners, field = crossed(shell)
            found = self._in_pieces(points, 1 + 3 + self.point_feature)
            surface = _there(marched(self._moved(points, found), field, found[:, 4:], corners))
            yield NeutralSurface(surface.points, neutral(surface.feature), surface.triangles)
            shell = finer(shell, self._distances)

    def colours(
        self, feature: Float[Tensor, "v f"], parts: Regions, inputs: FaceInputs, code: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b v c"]:
        """Colours of vertices by codes, pose and gaze, each where it has a say; where eyes are, two are added."""
        by_code = torch.sigmoid(self.shape_colour(feature[None], code))
        by_pose = torch.sigmoid(self.pose_colour(feature[None], encoded(inputs.pose)))
        by_gaze = torch.sigmoid(self.eye_colour(feature[None], encoded(inputs.gaze)))
        return parts.shape[:, None] * by_code + parts.pose[:, None] * by_pose + parts.eye[:, None] * by_gaze

    def turned(
        self,
        points: Float[Tensor, "v 3"],
        eye: Float[Tensor, "v"],
        gaze: Float[Tensor, "b 2"],
        code: Float[Tensor, "b t"],
    ) -> Float[Tensor, "b v 3"]:
        """Neutral places with those of the eyeballs turned, each with the eye that it is nearer to.

        The published code turns all that has a weight as eye, half a unit around the lids: brows and cheeks go along, and
        the outline of the head swells when it is seen from aside. Here it is what lies up to 1.2 radii from the centre of
        an eyeball, and less and less of it up to 1.8; a ball that turns about its centre keeps its outline.
        """
        shared = points.expand(len(gaze), -1, -1)
        if self.eye_rotation is None:
            return shared
        centres = eye_centres(self.landmarks, self.eye_radius)
        radii = (nearest(points, centres) + 1e-12).sqrt() / self.eye_radius
        rows = torch.nonzero((eye > 0) & (radii < WHOLLY_OUT))[:, 0]
        near = points[rows]
        left, right = ((near - centre).square().sum(1) for centre in centres)
        turned = self.eye_rotation(near, (right < left).long(), centres, gaze, code)
        share = closeness(radii[rows], WHOLLY_IN, WHOLLY_OUT)[:, None]
        return shared.index_copy(1, rows, near + share * (turned.points - near))

    def _geometry(self, points: Tensor) -> Tensor:
        with exact(points):  # in bfloat16 the surface lies 0.3 px aside at 512 px on average, and up to 1.5
            return torch.tanh(self.geometry(encoded(points)[None])[0])

    def _distances(self, points: Tensor) -> Tensor:
        return self._in_pieces(points, 1)[:, 0]

    @torch.no_grad()
    def _in_pieces(self, points: Tensor, columns: int) -> Tensor:
        """The first columns of the geometry, without all that the network computes for them in memory at once."""
        found = points.new_empty(len(points), columns)
        for piece, into in zip(points.split(AT_ONCE), found.split(AT_ONCE), strict=True):
            into.copy_(self._geometry(piece)[:, :columns])
        return found

    def _moved(self, points: Tensor, found: Tensor) -> Tensor:
        # The published code squashes offsets twice, which is kept for its weights.
        return points + torch.tanh(found[:, 1:4]) / self.resolution


def _there(surface: Surface) -> Surface:
    if not len(surface.points):
        raise UserError(
            "the mesh of the head has vanished: its signed distance has one sign in the whole box. Start with "
            "init=sphere, lower optimizer.optimizer.lr, or check that heads lie between backbone.low and backbone.high"
        )
    return surface


def keep_variance(net: PointMLP) -> None:
    """Draw the weights of a network so that what it computes varies as much as its input (He et al. 2015).

    By torch's default signals shrink layer by layer: six of them make a nearly constant feature of a place, and it takes
    hundreds of steps until two vertices can differ in colour.
    """
    for layer in net.layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)
