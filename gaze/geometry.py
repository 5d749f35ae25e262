"""The one home of sign conventions: boxes and points in a picture, gaze directions, points on a screen.

Boxes are (x0, y0, x1, y1) and points (x, y), as fractions of the image unless a name says ``px``;
(0, 0) is the image's top left corner, not the centre of its first pixel. Sizes are (height, width).

A gaze direction is a unit vector in the camera frame: x right, y down, z into the scene, so that
looking into the camera is (0, 0, -1). Pitch and yaw are radians, in this order: positive pitch looks
up, positive yaw looks to the image's left.

A screen has three frames. *Screen* (user interface): from the top left corner as the user sees it, x
right, y down. *Native*: the same in the device's own upright orientation, which is portrait for phones
and tablets. *Plane* (prediction space): cm from the camera in the plane of the screen, x right, y UP as
the user sees it; what models predict. Sizes of screens are (width, height), like the points on them.
Orientations are GazeCapture's: 1 upright, 2 upside-down, 3 landscape with the home button at the right,
4 at the left; any other number gives NaN. A user in front of the screen faces the camera, so that the
plane's point (x, y) is (-x, -y, 0) in the camera frame, whose z points from the device to the user here.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

# --- Boxes and points --------------------------------------------------------------------------


def clamp_boxes(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """The parts of the boxes that lie inside the image. NaN rows stay NaN."""
    return boxes.clamp(0.0, 1.0)


def box_areas(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Areas in the square of the boxes' unit; an inverted box has none."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides.prod(-1)


def box_centres(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 2"]:
    """The middles (x, y) of the boxes."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def valid_boxes(boxes: Float[Tensor, "*n 4"]) -> Bool[Tensor, "*n"]:
    """Which boxes are finite and have an area inside the image."""
    return boxes.isfinite().all(-1) & (box_areas(clamp_boxes(boxes)) > 0)


def points_to_px(points: Float[Tensor, "*n 2"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 2"]:
    """Points in pixels of an image of `size` (height, width)."""
    return points * size.flip(-1)


def points_from_px(points_px: Float[Tensor, "*n 2"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 2"]:
    """Points given in pixels of an image of `size` (height, width), as fractions of it."""
    return points_px / size.flip(-1)


def boxes_to_px(boxes: Float[Tensor, "*n 4"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 4"]:
    """Boxes in pixels of an image of `size` (height, width)."""
    return boxes * torch.cat([size.flip(-1)] * 2, -1)


def boxes_from_px(boxes_px: Float[Tensor, "*n 4"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 4"]:
    """Boxes given in pixels of an image of `size` (height, width), as fractions of it."""
    return boxes_px / torch.cat([size.flip(-1)] * 2, -1)


# --- Directions --------------------------------------------------------------------------------


def pitch_yaw_to_vector(pitch_yaw: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors of angles in radians."""
    pitch, yaw = pitch_yaw.unbind(-1)
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], -1)


def vector_to_pitch_yaw(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
    """Pitch in [-pi/2, pi/2] and yaw in (-pi, pi], radians, of vectors of any length but zero."""
    x, y, z = vector.unbind(-1)
    # asin(-y) of the unit vector, written so that rounding cannot leave asin's domain.
    # 0 - x: a negative zero would make the yaw of the backward direction -pi, and give the pole one.
    return torch.stack([torch.atan2(-y, torch.hypot(x, z)), torch.atan2(0.0 - x, 0.0 - z)], -1)


def angular_error(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Angles between vectors of any length, radians in [0, pi]. A vector of no length is a quarter turn off.

    By atan2(|a x b|, a.b): acos(a.b) loses half its digits near 0 and has an infinite gradient there.
    The gradient at exactly parallel vectors is 0; that of a vector of no length points at the other one.
    """
    cross, cosine = torch.linalg.cross(a, b), (a * b).sum(-1)
    square = cross.square().sum(-1)
    parallel = square == 0
    sine = torch.where(parallel, 1.0, square).sqrt().masked_fill(parallel & (cosine != 0), 0.0)
    return torch.atan2(sine, cosine)


# --- Screens -----------------------------------------------------------------------------------


def turned_size(size: Shaped[Tensor, "*#n 2"], orientation: Int[Tensor, "*#n"]) -> Shaped[Tensor, "*n 2"]:
    """Native (width, height), in any unit, as the user sees it in an orientation; and back, being its own inverse."""
    return torch.where((orientation >= 3)[..., None], size.flip(-1), size)


def screen_to_cm(
    point: Float[Tensor, "*#n 2"], screen_size: Shaped[Tensor, "*#n 2"], screen_cm: Float[Tensor, "*#n 2"]
) -> Float[Tensor, "*n 2"]:
    """Screen points in cm, of points in the unit that `screen_size` is in: px, or pt of the active area.

    Both sizes are as the user sees them. Dividing by the active size is what gets Display Zoom right.
    """
    return point * screen_cm / screen_size


def screen_from_cm(
    point_cm: Float[Tensor, "*#n 2"], screen_size: Shaped[Tensor, "*#n 2"], screen_cm: Float[Tensor, "*#n 2"]
) -> Float[Tensor, "*n 2"]:
    """Screen points in the unit of `screen_size` (px or pt), of points in cm."""
    return point_cm * screen_size / screen_cm


def screen_to_native(
    point: Float[Tensor, "*#n 2"], screen_size: Shaped[Tensor, "*#n 2"], orientation: Int[Tensor, "*#n"]
) -> Float[Tensor, "*n 2"]:
    """Native points of screen points. `screen_size`, in the same unit, is as the user sees it."""
    x, y = point.unbind(-1)
    width, height = screen_size.unbind(-1)
    return _by_orientation(orientation, (x, y), (width - x, height - y), (height - y, x), (y, width - x))


def native_to_screen(
    point: Float[Tensor, "*#n 2"], screen_size: Shaped[Tensor, "*#n 2"], orientation: Int[Tensor, "*#n"]
) -> Float[Tensor, "*n 2"]:
    """Screen points of native points. `screen_size`, in the same unit, is as the user sees it."""
    x, y = point.unbind(-1)
    width, height = screen_size.unbind(-1)
    return _by_orientation(orientation, (x, y), (width - x, height - y), (y, height - x), (width - y, x))


def native_to_plane(
    point_cm: Float[Tensor, "*#n 2"], camera_to_screen_cm: Float[Tensor, "*#n 2"], orientation: Int[Tensor, "*#n"]
) -> Float[Tensor, "*n 2"]:
    """Prediction-space points of native points, both cm.

    `camera_to_screen_cm` is (how far the camera is to the right of the screen's native left edge, how far
    above its top edge), negative above for a camera inside the screen.
    """
    dx, dy = camera_to_screen_cm.unbind(-1)
    x, y = point_cm[..., 0] - dx, -(dy + point_cm[..., 1])
    return _by_orientation(orientation, (x, y), (-x, -y), (-y, x), (y, -x))


def plane_to_native(
    point_cm: Float[Tensor, "*#n 2"], camera_to_screen_cm: Float[Tensor, "*#n 2"], orientation: Int[Tensor, "*#n"]
) -> Float[Tensor, "*n 2"]:
    """Native points of prediction-space points, both cm; the inverse of `native_to_plane`."""
    x, y = point_cm.unbind(-1)
    x, y = _by_orientation(orientation, (x, y), (-x, -y), (y, -x), (-y, x)).unbind(-1)
    dx, dy = camera_to_screen_cm.unbind(-1)
    return torch.stack([x + dx, -(dy + y)], -1)


def screen_to_camera_plane(
    point_cm: Float[Tensor, "*#n 2"],
    screen_cm: Float[Tensor, "*#n 2"],
    camera_to_screen_cm: Float[Tensor, "*#n 2"],
    orientation: Int[Tensor, "*#n"],
) -> Float[Tensor, "*n 2"]:
    """Prediction-space points of screen points, both cm; `screen_cm` is as the user sees it."""
    native = screen_to_native(point_cm, screen_cm, orientation)
    return native_to_plane(native, camera_to_screen_cm, orientation)


def camera_plane_to_screen(
    point_cm: Float[Tensor, "*#n 2"],
    screen_cm: Float[Tensor, "*#n 2"],
    camera_to_screen_cm: Float[Tensor, "*#n 2"],
    orientation: Int[Tensor, "*#n"],
) -> Float[Tensor, "*n 2"]:
    """Screen points of prediction-space points, both cm; `screen_cm` is as the user sees it."""
    native = plane_to_native(point_cm, camera_to_screen_cm, orientation)
    return native_to_screen(native, screen_cm, orientation)


def turn_with_image(point_cm: Float[Tensor, "*#n 2"], angle_rad: Float[Tensor, "*#n"]) -> Float[Tensor, "*n 2"]:
    """Prediction-space points after the image was turned by an angle, counter-clockwise as displayed.

    They turn the other way, because x of the plane runs against x of an image that is not mirrored.
    """
    x, y = point_cm.unbind(-1)
    cosine, sine = angle_rad.cos(), angle_rad.sin()
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x], -1)


def _by_orientation(orientation: Tensor, *choices: tuple[Tensor, Tensor]) -> Tensor:
    """For each row the (x, y) of its orientation 1, 2, 3, 4, else NaN. No constant tensors: exports bake their device."""
    x, y = (torch.full_like(choice, torch.nan) for choice in choices[0])
    for number, (x_then, y_then) in enumerate(choices, start=1):
        x = torch.where(orientation == number, x_then, x)
        y = torch.where(orientation == number, y_then, y)
    return torch.stack([x, y], -1)


# --- Screens in front of a camera --------------------------------------------------------------


def plane_to_camera(point_cm: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 3"]:
    """Camera-frame points of prediction-space points, both cm."""
    x, y = point_cm.unbind(-1)
    return torch.stack([-x, -y, torch.zeros_like(x)], -1)


def camera_to_plane(point_cm: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 2"]:
    """Prediction-space points right in front of camera-frame points, both cm; inverse for points on the screen."""
    return -point_cm[..., :2]


def gaze_to_plane(
    origin_cm: Float[Tensor, "*#n 3"], gaze: Float[Tensor, "*#n 3"], least_slope: float = 0.05
) -> Float[Tensor, "*n 2"]:
    """Prediction-space points, cm, where gaze from camera-frame origins meets the plane of the screen, z = 0.

    `gaze` has any length. Finite, and so is its gradient, for gaze along the plane or away from it too:
    that is taken to meet the plane at the sine `least_slope` (0.05 is 3 degrees).
    """
    forward = (-gaze[..., 2]).maximum(least_slope * gaze.norm(dim=-1).clamp(min=1e-6))
    return -(origin_cm + gaze * (origin_cm[..., 2] / forward)[..., None])[..., :2]


def gaze_at_plane(point_cm: Float[Tensor, "*#n 2"], origin_cm: Float[Tensor, "*#n 3"]) -> Float[Tensor, "*n 3"]:
    """Unit gaze vectors from camera-frame origins to prediction-space points, all cm."""
    return torch.nn.functional.normalize(plane_to_camera(point_cm) - origin_cm, dim=-1)


def rotation_matrix(rotation_vector: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3 3"]:
    """Rotation matrices of Rodrigues vectors: the axis, as long as the angle in radians."""
    x, y, z = rotation_vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [torch.stack(row, -1) for row in ([zero, -z, y], [z, zero, -x], [-y, x, zero])]
    return torch.linalg.matrix_exp(torch.stack(rows, -2))


def posed_screen_to_camera(
    point_mm: Float[Tensor, "*#n 2"], rotation: Float[Tensor, "*#n 3 3"], translation_mm: Float[Tensor, "*#n 3"]
) -> Float[Tensor, "*n 3"]:
    """Camera-frame points in cm of screen points in mm, on a screen whose pose was measured, not assumed coplanar.

    R [x, y, 0] + t, with MPIIFaceGaze's monitorPose: R from `rvects`, t `tvects` in mm.
    """
    x, y = point_mm.unbind(-1)
    turned = rotation[..., 0] * x[..., None] + rotation[..., 1] * y[..., None]
    return (turned + translation_mm) / 10


# --- Errors on a screen ------------------------------------------------------------------------


def error_cm_to_px(
    error_cm: Float[Tensor, "*#n 2"], screen_px: Shaped[Tensor, "*#n 2"], screen_cm: Float[Tensor, "*#n 2"]
) -> Float[Tensor, "*n"]:
    """Lengths in px of error vectors in cm, of prediction space or screen. Both sizes are as the user sees them.

    Pixels need not be square.
    """
    return (error_cm * screen_px / screen_cm).norm(dim=-1)


def angle_between_points(
    a_cm: Float[Tensor, "*#n 2"], b_cm: Float[Tensor, "*#n 2"], origin_cm: Float[Tensor, "*#n 3"]
) -> Float[Tensor, "*n"]:
    """Angles in radians between prediction-space points as seen from camera-frame origins; all cm."""
    seen = torch.broadcast_tensors(plane_to_camera(a_cm) - origin_cm, plane_to_camera(b_cm) - origin_cm)
    return angular_error(*seen)


def angle_at_distance(error_cm: Float[Tensor, "*#n"], distance_cm: Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
    """Angles in radians that lengths in cm span at a distance: exact at one end of the length only."""
    return torch.atan2(error_cm, distance_cm)
