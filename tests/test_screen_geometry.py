"""Screens: from px and points over the device's native axes to centimetres in front of the camera, and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.devices import load_devices
from gaze.geometry import (
    angle_at_distance,
    angle_between_points,
    camera_plane_to_screen,
    camera_to_plane,
    error_cm_to_px,
    gaze_at_plane,
    gaze_to_plane,
    native_to_plane,
    native_to_screen,
    pitch_yaw_to_vector,
    plane_to_camera,
    plane_to_native,
    posed_screen_to_camera,
    rotation_matrix,
    screen_from_cm,
    screen_to_camera_plane,
    screen_to_cm,
    screen_to_native,
    turn_with_image,
    turned_size,
)

DEVICES = load_devices()
ORIENTATIONS = (1, 2, 3, 4)
RELAXED = settings(deadline=None, max_examples=50, derandomize=True)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def facts(name, orientation):
    """Points all over the screen, its size as seen, the camera's place and the orientation."""
    device = DEVICES[name]
    held = torch.tensor(orientation)
    size = turned_size(f64(*device.screen_cm), held)
    grid = torch.cartesian_prod(torch.linspace(0, 1, 4, dtype=torch.float64), torch.linspace(0, 1, 5).double())
    return grid * size, size, f64(*device.camera_to_screen_cm), held


def published(x, y, dx, dy, width, height, orientation):
    """screen2cam of the GazeCapture release, with the native width and height, all cm."""
    return {
        1: (x - dx, -dy - y),
        2: (dx - width + x, dy + height - y),
        3: (dy + x, width - dx - y),
        4: (-dy - height + x, dx - y),
    }[orientation]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", DEVICES)
def test_points_come_back_and_agree_with_the_published_formulas(name, orientation):
    points, size, camera, held = facts(name, orientation)
    plane = screen_to_camera_plane(points, size, camera, held)
    torch.testing.assert_close(camera_plane_to_screen(plane, size, camera, held), points, atol=1e-9, rtol=0)
    by_hand = published(*points.unbind(-1), *camera, *f64(*DEVICES[name].screen_cm), orientation)
    torch.testing.assert_close(plane, torch.stack(by_hand, -1), atol=1e-9, rtol=0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", DEVICES)
def test_an_orientation_is_a_rotation_of_the_native_vector(name, orientation):
    points, _, camera, held = facts(name, orientation)
    upright = native_to_plane(points, camera, torch.tensor(1))
    angle = {1: 0.0, 2: math.pi, 3: math.pi / 2, 4: -math.pi / 2}[orientation]
    turn = f64([math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)])
    turned = native_to_plane(points, camera, held)
    torch.testing.assert_close(turned, upright @ turn.T, atol=1e-9, rtol=0)
    torch.testing.assert_close(plane_to_native(turned, camera, held), points, atol=1e-9, rtol=0)


def test_one_batch_may_hold_every_orientation_in_float32():
    held = torch.tensor([1, 2, 3, 4])
    size = turned_size(torch.tensor([5.85, 10.4]).expand(4, 2), held)
    torch.testing.assert_close(size, torch.tensor([[5.85, 10.4]] * 2 + [[10.4, 5.85]] * 2))
    points = torch.tensor([1.0, 2.0]).expand(4, 2)
    camera = torch.tensor([1.86, 0.80])
    plane = screen_to_camera_plane(points, size, camera, held)
    expected = [[-0.86, -2.8], [-2.99, 9.2], [1.8, 1.99], [-10.2, -0.14]]  # by the four published formulas
    torch.testing.assert_close(plane, torch.tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(camera_plane_to_screen(plane, size, camera, held), points, atol=1e-5, rtol=0)
    native = screen_to_native(points, size, held)
    torch.testing.assert_close(native, torch.tensor([[1.0, 2], [4.85, 8.4], [3.85, 1], [2, 9.4]]))
    torch.testing.assert_close(native_to_screen(native, size, held), points)


def test_an_orientation_that_does_not_exist_gives_nan():
    point = screen_to_native(torch.ones(3, 2), torch.tensor([5.0, 9.0]), torch.tensor([0, 1, 5]))
    assert point.isnan().all(-1).tolist() == [True, False, True]


def test_display_zoom_changes_points_and_not_centimetres():
    iphone = DEVICES["iphone_6"]
    cm, middle = f64(*iphone.screen_cm), f64(*iphone.screen_cm) / 2
    for active in (iphone.screen_px, iphone.screen_pt, iphone.screen_pt_zoomed):
        size = torch.tensor(active)
        torch.testing.assert_close(screen_to_cm(size / 2.0, size, cm), middle)
        torch.testing.assert_close(screen_from_cm(middle, size, cm), size.double() / 2)
    corner = screen_to_cm(f64(667, 375), torch.tensor([667, 375]), cm.flip(-1))  # landscape: height in mm over width
    assert corner.tolist() == pytest.approx([10.405, 5.85])


def test_a_plane_point_is_to_the_other_side_in_the_camera():
    plane = torch.tensor([[3.0, -7.0]])
    assert plane_to_camera(plane).tolist() == [[-3, 7, 0]]
    assert camera_to_plane(plane_to_camera(plane)).tolist() == plane.tolist()


def test_gaze_meets_the_screen_where_it_should():
    origin = f64(-2.0, 5.0, 40.0)  # the eyes: to the image's left of the camera, below it, 40 cm away
    ahead = gaze_to_plane(origin, f64(0.0, 0.0, -1.0))
    assert ahead.tolist() == [2, -5]  # straight ahead, which as the user sees it is right of and below the camera
    down = gaze_to_plane(origin, pitch_yaw_to_vector(f64(-math.pi / 4, 0.0)))
    assert down.tolist() == pytest.approx([2, -45])
    left = gaze_to_plane(origin, 7 * pitch_yaw_to_vector(f64(0.0, math.atan(0.5))))  # image's left: the user's right
    assert left.tolist() == pytest.approx([22, -5])


@RELAXED
@given(*[st.floats(-25, 25)] * 4, st.floats(15, 80))
def test_a_gaze_at_a_point_meets_it(x, y, eye_x, eye_y, distance):
    point, origin = f64(x, y), f64(eye_x, eye_y, distance)
    gaze = gaze_at_plane(point, origin)
    assert gaze.norm().item() == pytest.approx(1)
    torch.testing.assert_close(gaze_to_plane(origin, gaze), point, atol=1e-9, rtol=0)


@pytest.mark.parametrize("gaze", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.6, 0.0, 0.8)])
def test_gaze_that_never_meets_the_screen_is_finite_with_its_gradient(gaze):
    direction = torch.tensor(gaze, requires_grad=True)
    origin = torch.tensor([1.0, 2.0, 50.0], requires_grad=True)
    point = gaze_to_plane(origin, direction)
    point.sum().backward()
    assert point.isfinite().all()
    assert point.abs().max() <= 1 + 2 + 50 / 0.05
    assert direction.grad.isfinite().all()
    assert origin.grad.isfinite().all()


def test_a_posed_screen_in_mm_is_in_front_of_the_camera_in_cm():
    """A screen above whose middle the camera sits, seen from behind: x of the screen runs against the image's."""
    about_y = rotation_matrix(f64(0.0, math.pi, 0.0))
    torch.testing.assert_close(about_y, torch.diag(f64(-1, 1, -1)), atol=1e-12, rtol=0)
    point = posed_screen_to_camera(f64(100.0, 50.0), about_y, f64(160.0, 10.0, 0.0))
    assert point.tolist() == pytest.approx([6, 6, 0])
    assert camera_to_plane(point).tolist() == pytest.approx([-6, -6])


def test_rotation_matrices_of_a_batch_follow_the_right_hand():
    vectors = f64([0.0, 0.0, math.pi / 2], [0.0, 0.0, 0.0], [0.3, -0.2, 0.9])
    turns = rotation_matrix(vectors)
    torch.testing.assert_close(turns[0] @ f64(1, 0, 0), f64(0, 1, 0), atol=1e-12, rtol=0)
    torch.testing.assert_close(turns[1], torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(turns[2] @ vectors[2], vectors[2])
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3, dtype=torch.float64).expand(3, 3, 3))


def test_labels_turn_against_the_image():
    quarter = torch.tensor(math.pi / 2)
    torch.testing.assert_close(turn_with_image(torch.tensor([1.0, 0.0]), quarter), torch.tensor([0.0, -1.0]))
    torch.testing.assert_close(turn_with_image(torch.tensor([3.0, 4.0]), 2 * quarter), torch.tensor([-3.0, -4.0]))


@RELAXED
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-4, 4))
def test_turning_the_image_is_a_roll_of_the_camera(x, y, angle):
    """The picture of a point turns counter-clockwise; the camera-frame point of the label turns with it."""
    point, turn = f64(x, y), f64(angle)[0]
    c, s = math.cos(angle), math.sin(angle)
    as_displayed = f64([c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0])  # counter-clockwise with y down
    torch.testing.assert_close(plane_to_camera(turn_with_image(point, turn)), as_displayed @ plane_to_camera(point))
    torch.testing.assert_close(turn_with_image(turn_with_image(point, turn), -turn), point)


def test_errors_in_px_use_the_size_of_a_pixel_in_each_axis():
    error = f64([0.3, 0.4], [math.nan, 0.0])
    lengths = error_cm_to_px(error, torch.tensor([1000, 1000]), f64(10.0, 20.0))
    assert lengths[0].item() == pytest.approx(math.hypot(30, 20))
    assert lengths[1].isnan()


def test_angles_on_a_screen():
    exact = angle_between_points(f64(0.0, 0.0), f64(10.0, 0.0), f64(0.0, 0.0, 10.0))
    assert exact.item() == pytest.approx(math.pi / 4)
    eyes = f64([0.0, 0.0, 10.0], [0.0, 0.0, 20.0])  # one pair of points, seen from two places
    several = angle_between_points(f64(0.0, 0.0), f64(10.0, 0.0), eyes)
    assert several.tolist() == pytest.approx([math.atan(1), math.atan(0.5)])
    assert angle_at_distance(f64(10.0), f64(10.0)).item() == pytest.approx(math.pi / 4)
    assert angle_between_points(f64(5.0, 0.0), f64(-5.0, 0.0), f64(0.0, 0.0, 5.0)).item() == pytest.approx(math.pi / 2)
