"""Pictures of users as a model of the point of gaze sees them: the face is found, and crops are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze.datasets.screen_view import STREAMS, Picture, ScreenView, cut, geometry
from gaze.devices import Device
from gaze.errors import UserError
from gaze.geometry import screen_to_camera_plane, turned_size
from gaze.inference.landmarker import FoundFace
from gaze.inference.screen_predictor import Views
from gaze.landmarks.boxes import rejections
from gaze.types import ScreenInputs, ScreenTargets


@runtime_checkable
class Finder(Protocol):
    """Finds the one face in a picture."""

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], time_ms: int | None = None) -> FoundFace: ...


@dataclass(frozen=True)
class Screens:
    """The screens that n users look at, as they are held; NaN unknown."""

    screen_cm: Float[Tensor, "n 2"]  # width, height
    screen_px: Float[Tensor, "n 2"]
    centre: Float[Tensor, "n 2"]  # cm from the camera, x right, y up
    orientation: Int[Tensor, "n"]  # 1 to 4

    def pixels(self, point: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Points of the camera's plane in px from the screen's top left, x right and y down; NaN where unknown."""
        across = (point - self.centre) / self.screen_cm * torch.tensor([1.0, -1.0])
        return (across + 0.5) * self.screen_px


@dataclass(frozen=True)
class Look:
    """One picture, ready for the model."""

    inputs: ScreenInputs  # of one sample
    doubt: str  # why the picture may be a bad one, or ""


def screens_of(device: Device | None, orientation: int, count: int) -> Screens:
    """The same screen for several users; unknown without a device.

    Raises:
        UserError: there is no such orientation.
    """
    if orientation not in (1, 2, 3, 4):
        raise UserError(
            f"orientation={orientation}; expected 1 upright, 2 upside-down, 3 or 4 landscape with the home button at the "
            "right or left"
        )
    held = torch.full((count,), orientation)
    unknown = torch.full((count, 2), torch.nan)
    if device is None:
        return Screens(unknown, unknown, unknown, held)
    cm = turned_size(torch.tensor(device.screen_cm), held)
    offset = torch.tensor(device.camera_to_screen_cm)
    px = unknown if device.screen_px is None else turned_size(torch.tensor(device.screen_px), held).float()
    return Screens(cm, px, screen_to_camera_plane(cm / 2, cm, offset, held), held)


def look_at(
    name: str, picture: UInt8[Tensor, "3 H W"], find: Finder, views: Views, orientation: int, time_ms: int | None = None
) -> Look:
    """The crops and numbers that a model takes, of an upright picture of one user.

    Args:
        name: of the picture, for messages.
        find: finds the face.
        views: what the model looks at.
        orientation: of the interface, 1 to 4.
        time_ms: of a frame of a video.

    Raises:
        NoFace, SeveralFaces: there isn't exactly one face.
    """
    face = find(name, picture, time_ms)
    height, width = picture.shape[-2:]
    boxes = {stream: tuple(box.tolist()) for stream, box in zip(STREAMS, face.boxes(), strict=True)}
    whole = Picture(picture, (0.0, 0.0, float(width), float(height)))
    view = ScreenView(
        pictures={stream: whole for stream in STREAMS if stream in views.streams},
        boxes=boxes,
        placed=frozenset(STREAMS),
        frame_size=(float(width), float(height)),
        sizes=views.sizes,
        targets=ScreenTargets(torch.full((2,), torch.nan)),
    )
    crops = {stream: part.image.contiguous() for stream, part in cut(view).pictures.items()}
    wanted = views.streams
    inputs = ScreenInputs(
        **crops,
        geometry=geometry(view) if "geometry" in wanted else None,
        landmarks=face.landmarks[list(views.landmarks), :2].clone() if "landmarks" in wanted else None,
        imu=torch.zeros(9) if "imu" in wanted else None,
        imu_valid=torch.tensor(0.0) if "imu" in wanted else None,
        orientation=torch.tensor(orientation) if "orientation" in wanted else None,
    )
    (doubt,) = rejections(face.landmarks[None], face.frame_size[None], face.blendshapes[None])
    return Look(inputs, doubt or "")
