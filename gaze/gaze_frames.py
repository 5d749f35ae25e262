"""How files store a gaze direction, and the way from there to the one convention of `gaze.geometry`.

A reader is given the frame of its files when it is made; no frame is ever global. What is stored:

| source                                            | frame        |
| ------------------------------------------------- | ------------ |
| GazeHub MPIIFaceGaze and EyeDiap, 3DGaze          | CAMERA       |
| Gaze360 gaze_dir, split files, GazeHub 3DGaze     | GAZE360      |
| ETH-XGaze's pitchyaw_to_vector                    | ANTIPODE     |
| ETH-XGaze h5 and GazeHub files, MPIIFaceGaze .mat | PITCH_YAW    |
| GazeHub 2DGaze and 2DHead of all but ETH-XGaze    | YAW_PITCH    |
| L2CS outputs, whose names are swapped             | YAW_PITCH    |

GazeHub's MPIIFaceGaze vectors are moreover scaled by the normalisation; `unscaled` undoes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.geometry import pitch_yaw_to_vector, vector_to_pitch_yaw

NEAR_AXIS = pi / 180  # radians; gaze nearer to the camera's axis has no direction in the picture


@runtime_checkable
class GazeFrame(Protocol):
    """A way to store directions."""

    def gaze(self, stored: Float[Tensor, "*b k"]) -> Float[Tensor, "*b 3"]:
        """Gaze vectors of `gaze.geometry` of what is stored; vectors keep their length."""
        ...

    def stored(self, gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b k"]:
        """What is stored of gaze vectors: the inverse."""
        ...


@dataclass(frozen=True)
class VectorFrame:
    """Vectors along other axes.

    Args:
        order: which stored number is x, y and z.
        signs: of x, y and z, after that.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    signs: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        if sorted(self.order) != [0, 1, 2] or any(sign not in (-1, 1) for sign in self.signs):
            raise ValueError(
                f"axes {tuple(self.order)} with signs {tuple(self.signs)}; expected an order of 0, 1, 2 and signs of 1 or -1"
            )

    def gaze(self, stored: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Gaze vectors of stored ones."""
        return stored[..., list(self.order)] * stored.new_tensor(self.signs)

    def stored(self, gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Stored vectors of gaze vectors."""
        return (gaze * gaze.new_tensor(self.signs))[..., [self.order.index(axis) for axis in range(3)]]

    def __str__(self) -> str:
        x, y, z = (f"{'-' if sign < 0 else ''}{'xyz'[axis]}" for axis, sign in zip(self.order, self.signs, strict=True))
        return f"({x}, {y}, {z})"


@dataclass(frozen=True)
class AngleFrame:
    """Two angles.

    Args:
        yaw_first: are they (yaw, pitch)?
        signs: of pitch and yaw, in this order: -1 where the stored pitch looks down, or the stored yaw to the right.
        degrees: are they in degrees?
    """

    yaw_first: bool = False
    signs: tuple[int, int] = (1, 1)
    degrees: bool = False

    def pitch_yaw(self, stored: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Pitch and yaw of `gaze.geometry`, radians, of stored angles."""
        angles = stored.flip(-1) if self.yaw_first else stored
        return angles * angles.new_tensor(self.signs) * (pi / 180 if self.degrees else 1.0)

    def gaze(self, stored: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
        """Unit gaze vectors of stored angles."""
        return pitch_yaw_to_vector(self.pitch_yaw(stored))

    def stored(self, gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
        """Stored angles of gaze vectors."""
        angles = vector_to_pitch_yaw(gaze)
        angles = angles * angles.new_tensor(self.signs) * (180 / pi if self.degrees else 1.0)
        return angles.flip(-1) if self.yaw_first else angles

    def __str__(self) -> str:
        pitch, yaw = (
            f"{'-' if sign < 0 else ''}{name}" for sign, name in zip(self.signs, ("pitch", "yaw"), strict=True)
        )
        names = f"{yaw}, {pitch}" if self.yaw_first else f"{pitch}, {yaw}"
        return f"({names}) in {'degrees' if self.degrees else 'radians'}"


CAMERA = VectorFrame()
GAZE360 = VectorFrame(signs=(-1, -1, 1))  # x left, y up, z away: half a turn about z
ANTIPODE = VectorFrame(signs=(-1, -1, -1))
PITCH_YAW = AngleFrame()
YAW_PITCH = AngleFrame(yaw_first=True)


def scaled(gaze: Float[Tensor, "*b 3"], scale: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors as GazeHub's MPIIFaceGaze has them: of space that was scaled by the diagonal S, `Smat`."""
    return torch.nn.functional.normalize(gaze * scale, dim=-1)


def unscaled(gaze: Float[Tensor, "*b 3"], scale: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors as a camera that was turned only would see them, of GazeHub's MPIIFaceGaze; inverse of `scaled`."""
    return torch.nn.functional.normalize(gaze / scale, dim=-1)


def mirrored(gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Gaze vectors after the picture was mirrored, left to right: yaw changes its sign."""
    return gaze * gaze.new_tensor([-1.0, 1.0, 1.0])


def facing(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """The directions in which heads of rotations R_h face, as gaze vectors: against the third of their axes.

    Their pitch and yaw are the head angles of all data sets: asin(R[1, 2]) and atan2(R[0, 2], R[2, 2]).
    """
    return -rotation[..., 2]


def compass_angle(gaze: Float[Tensor, "*b 3"], near_axis: float = NEAR_AXIS) -> Float[Tensor, "*b"]:
    """Where in the picture people look, radians from its right, counter-clockwise as displayed: up is pi/2.

    NaN for gaze within `near_axis` radians of the camera's axis, toward it or away, which has no such direction.
    """
    x, y, z = gaze.unbind(-1)
    axial = torch.atan2(torch.hypot(x, y), z.abs())
    return torch.atan2(0.0 - y, x).masked_fill(axial < near_axis, torch.nan)
