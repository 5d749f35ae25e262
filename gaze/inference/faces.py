"""Faces cut out of photographs as a model of gaze directions was trained on them, and the frames it then answers in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gaze.datasets.crops import crop_box
from gaze.datasets.image import resize
from gaze.errors import UserError
from gaze.export.origin import face_sources
from gaze.face_normalization import FACE, Lens, normalize_faces, project, warp_faces
from gaze.geometry import boxes_to_px
from gaze.head_pose import HeadPose, solve_head_pose
from gaze.inference.cameras import Camera
from gaze.inference.heads import HeadsError
from gaze.inference.landmarker import FoundFace, NoFace, SeveralFaces
from gaze.landmarks.points import LEFT_CORNERS, LEFT_MOUTH, RIGHT_CORNERS, RIGHT_MOUTH
from gaze.signatures import locate
from gaze.trusted import TRUSTED, is_trusted

logger = logging.getLogger(__name__)

AROUND = 0.1  # of a head's box, on each side: where its face is looked for
# The six landmarks of `gaze.head_pose.FACE_MM`, among MediaPipe's.
SIX = (*RIGHT_CORNERS, *reversed(LEFT_CORNERS), RIGHT_MOUTH, LEFT_MOUTH)


class Cut(NamedTuple):
    """Where in the box of a head its face is: a square about a point on the vertical middle line."""

    side: float  # of the box's longer side
    down: float  # from the upper edge to the square's middle, of the box's height


# Of a box as `gaze.inference.detection` draws it, 1.5 faces high. Gaze360's squares are as high as a detector's face;
# normalised faces show 14 cm about the middle of eyes and mouth.
DETECTED, NORMALISED = Cut(0.67, 0.6), Cut(0.55, 0.62)


@dataclass(frozen=True)
class Faces:
    """The faces of n people in a photograph; of those without one the rows are NaN, and the face black."""

    face: UInt8[Tensor, "n 3 h w"]
    usable: Bool[Tensor, "n"]
    origin: Float[Tensor, "n 2"]  # the middle of the face, fractions of the photograph
    rotation: Float[Tensor, "n 3 3"]  # from the camera's frame to the one that the model answers in
    sight: Float[Tensor, "n 3 3"]  # from the camera's frame to one whose z leads to the face, and whose x is level


@runtime_checkable
class FaceSource(Protocol):
    """Cuts out faces."""

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], heads: Float[Tensor, "n 4"]) -> Faces:
        """The faces of the heads, given as fractions of the picture.

        Raises:
            HeadsError: the heads don't say where faces are.
            UserError: the camera does not fit the picture; with its name.
        """
        ...

    @property
    def about(self) -> dict[str, Any]:
        """How faces are made, for results."""
        ...


@runtime_checkable
class FindsFace(Protocol):
    """Finds the one face in a picture, as `gaze.inference.landmarker.Landmarker` does."""

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], time_ms: int | None = None) -> FoundFace: ...


class CroppedFaces:
    """Squares cut out of the photograph; the model answers as if the camera had turned to the face.

    Args:
        size: (height, width) of the faces in px, as the model was trained.
        cut: which part of a head's box.
        camera: decides the directions in the camera's frame, and nothing else.

    Raises:
        UserError: the cut makes no sense.
    """

    def __init__(self, size: tuple[int, int], cut: Cut = DETECTED, camera: Camera | None = None) -> None:
        if not 0 < cut.side <= 4 or not -1 <= cut.down <= 2:
            raise UserError(
                f"crop.side={cut.side}, crop.down={cut.down}; expected a square's side above 0 and at most 4 of the head "
                "box's longer side, and its middle from -1 to 2 of the box's height"
            )
        self.size, self.cut, self.camera = size, cut, camera or Camera()

    @property
    def about(self) -> dict[str, Any]:
        """See `FaceSource.about`."""
        cut = {"side": self.cut.side, "down": self.cut.down}
        return {"faces": "cropped", "crop": cut, "camera": self.camera.about}

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], heads: Float[Tensor, "n 4"]) -> Faces:
        """See `FaceSource`."""
        if not heads.isfinite().all():
            raise HeadsError(
                f"{name}: no head box is given; a model of gaze directions sees one face at a time: give heads=detect or "
                "boxes"
            )
        height, width = picture.shape[-2:]
        squares = self._squares(boxes_to_px(heads.double(), torch.tensor([height, width])))
        faces = [crop_box(picture, square, self.size, padding="black") for square in squares]
        middle = squares[:, :2] + squares[:, 2:] / 2
        sight = sight_frames(_rays(middle, self.camera.matrix(name, (height, width))))
        usable = torch.ones(len(heads), dtype=torch.bool)
        return Faces(_stack(faces, self.size), usable, middle / torch.tensor([width, height]), sight, sight)

    def _squares(self, boxes_px: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Corner, width and height."""
        x0, y0, x1, y1 = boxes_px.unbind(-1)
        side = self.cut.side * torch.maximum(x1 - x0, y1 - y0)
        x, y = (x0 + x1) / 2, y0 + self.cut.down * (y1 - y0)
        return torch.stack([x - side / 2, y - side / 2, side, side], -1)


class NormalisedFaces:
    """Faces as a virtual camera sees them that turned to them, by their landmarks (Zhang et al., ETRA 2018).

    Args:
        size: side of the faces in px, or (height, width), as the model was trained.
        camera: that took the photographs.
        find: finds the landmarks, in the part of a picture around a head.

    Raises:
        UserError: faces are not square.
    """

    def __init__(self, size: tuple[int, int], camera: Camera, find: FindsFace) -> None:
        if size[0] != size[1]:
            raise UserError(
                f"the model sees faces of {size[0]} x {size[1]} pixels; normalised faces are square: leave the camera out"
            )
        self.camera, self.find = camera, find
        self.lens = Lens(FACE.focal_px * size[0] / FACE.size_px, FACE.distance_mm, size[0])

    @property
    def about(self) -> dict[str, Any]:
        """See `FaceSource.about`."""
        lens = {"focal_px": round(self.lens.focal_px, 3), "distance_mm": self.lens.distance_mm}
        return {"faces": "normalised", "lens": lens, "camera": self.camera.about}

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], heads: Float[Tensor, "n 4"]) -> Faces:
        """See `FaceSource`. Who has no face that can be found is not usable; a box of NaN means the whole picture."""
        height, width = picture.shape[-2:]
        camera, side = self.camera.matrix(name, (height, width)), self.lens.size_px
        count = len(heads)
        face = torch.zeros(count, 3, side, side, dtype=torch.uint8)
        usable, origin = torch.zeros(count, dtype=torch.bool), torch.full((count, 2), torch.nan, dtype=torch.float64)
        rotation = torch.full((count, 3, 3), torch.nan, dtype=torch.float64)
        sight = rotation.clone()
        for i, head in enumerate(heads):
            landmarks = self._landmarks(f"{name}, head {i + 1}", picture, head)
            try:
                pose = None if landmarks is None else solve_head_pose(landmarks, camera)
            except UserError as error:  # landmarks that no head can have
                logger.warning("%s, head %d: %s", name, i + 1, error)
                pose = None
            if pose is None:
                continue
            centre = pose.centre_mm
            face[i], rotation[i] = self._normalised(picture, camera, pose)
            origin[i] = project(centre[None], camera)[0] / torch.tensor([width, height])
            sight[i], usable[i] = sight_frames(F.normalize(centre, dim=0)[None])[0], True
        return Faces(face, usable, origin, rotation, sight)

    def _landmarks(
        self, name: str, picture: UInt8[Tensor, "3 H W"], head: Float[Tensor, "4"]
    ) -> Float[Tensor, "6 2"] | None:
        """The six of `FACE_MM`, in pixels of the picture; None where there is no face, or more than one."""
        height, width = picture.shape[-2:]
        x0, y0, x1, y1 = head.tolist() if head.isfinite().all() else (0.0, 0.0, 1.0, 1.0)
        beside, above = AROUND * (x1 - x0), AROUND * (y1 - y0)
        left, top = int(max(x0 - beside, 0) * width), int(max(y0 - above, 0) * height)
        right, bottom = round(min(x1 + beside, 1) * width), round(min(y1 + above, 1) * height)
        part = picture[:, top:bottom, left:right].contiguous()
        try:
            found = self.find(name, part)
        except (NoFace, SeveralFaces):
            return None
        six = found.landmarks[list(SIX), :2].double() * torch.tensor([right - left, bottom - top])
        return six + torch.tensor([left, top]) if six.isfinite().all() else None

    def _normalised(
        self, picture: UInt8[Tensor, "3 H W"], camera: Float[Tensor, "3 3"], pose: HeadPose
    ) -> tuple[UInt8[Tensor, "3 s s"], Float[Tensor, "3 3"]]:
        """The face, and the rotation of its virtual camera."""
        # Pixels of the photograph for one of the face: warping is bilinear, so a larger photograph is shrunk first.
        dense = float(camera[0, 0] / pose.centre_mm.norm() * self.lens.distance_mm / self.lens.focal_px)
        if dense > 1:
            height, width = picture.shape[-2:]
            small = max(1, round(height / dense)), max(1, round(width / dense))
            picture = resize(picture, small)
            scale = torch.tensor([small[1] / width, small[0] / height, 1.0], dtype=torch.float64)
            camera = torch.diag(scale) @ camera
        view = normalize_faces(camera, pose.rotation, pose.centre_mm, self.lens)
        return warp_faces(picture[None], view.warp[None], self.lens.size_px)[0], view.rotation


def cut_of_run(dataset: Mapping[str, Any]) -> Cut:
    """The part of a head's box that the faces show on which a model was trained, by the plain config of its data set."""
    parts = face_sources(dataset)
    return NORMALISED if parts and all(map(_normalised, parts)) else DETECTED


def face_size_of(dataset: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) in px of the faces on which a model was trained, by the plain config of its data set.

    Raises:
        UserError: it does not say.
    """
    size = dataset.get("face_size")
    if size is None:
        raise UserError("the run's config has no dataset.face_size; expected a side in px, as its model was trained")
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def sight_frames(ray: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Rotations from the camera's frame to those whose z is a unit ray, and whose x is level."""
    down = torch.zeros_like(ray) + ray.new_tensor([0.0, 1.0, 0.0])
    x = F.normalize(torch.linalg.cross(down, ray), dim=-1)
    return torch.stack([x, torch.linalg.cross(ray, x), ray], -2)


def _normalised(source: Mapping[str, Any]) -> bool:
    """Does a reader of faces give normalised ones? It says so in its config, or as a class."""
    target = source.get("_target_", "")
    return bool(source.get("normalised", is_trusted(target, TRUSTED) and getattr(locate(target), "normalised", False)))


def _rays(points_px: Float[Tensor, "n 2"], camera: Float[Tensor, "3 3"]) -> Float[Tensor, "n 3"]:
    whole = torch.cat([points_px, torch.ones_like(points_px[:, :1])], -1)
    return F.normalize(whole @ torch.linalg.inv(camera).mT, dim=-1)


def _stack(faces: list[Tensor], size: tuple[int, int]) -> UInt8[Tensor, "n 3 h w"]:
    return torch.stack(faces) if faces else torch.zeros(0, 3, *size, dtype=torch.uint8)
