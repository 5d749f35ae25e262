"""Virtual cameras: the face in the middle, no roll, a fixed scale, and the way back."""

import math
import sys

import pytest
import torch
import torch.nn.functional as F

from gaze.errors import UserError
from gaze.face_normalization import (
    DUMMY,
    EYE,
    FACE,
    FACE_LARGE,
    normalize_faces,
    pinhole,
    project,
    warp_faces,
)
from gaze.gaze_frames import facing, mirrored
from gaze.geometry import angular_error, rotation_matrix, vector_to_pitch_yaw
from gaze.head_pose import FACE_MM, solve_head_pose

CAMERA = pinhole(1280, 720)


def heads(count=200):
    """Rotations, most of them frontal, and centres of faces in front of the camera, mm."""
    draws = torch.Generator().manual_seed(1)
    rotation = rotation_matrix(0.5 * torch.randn(count, 3, generator=draws).double())
    x, y, z = (torch.rand(count, 3, generator=draws).double() - 0.5).unbind(-1)
    distance = 700 + 600 * z
    return rotation, torch.stack([x * distance, y * distance * 0.6, distance], -1)


@pytest.mark.parametrize("lens", [FACE, FACE_LARGE, EYE, DUMMY])
def test_the_face_is_in_the_middle_upright_and_of_known_size(lens):
    rotation, centre = heads()
    view = normalize_faces(CAMERA, rotation, centre, lens)
    ones, half = torch.ones(200, dtype=torch.float64), torch.full((200, 2), lens.size_px / 2, dtype=torch.float64)
    torch.testing.assert_close(view.pixels(project(centre[:, None], CAMERA))[:, 0], half)
    torch.testing.assert_close(torch.linalg.det(view.rotation), ones)
    torch.testing.assert_close(view.rotation @ view.rotation.mT, torch.eye(3).double().expand(200, 3, 3))
    assert view.head(rotation)[:, 1, 0].abs().max() < 1e-12  # the head's x axis has no y: no roll
    torch.testing.assert_close(view.points(centre), ones[:, None] * torch.tensor([0, 0, lens.distance_mm]).double())
    # A step of 1 mm at the face, across the line of sight, is f / d px
    beside = centre + view.rotation[:, 0]
    moved = view.pixels(project(beside[:, None], CAMERA))[:, 0] - half
    torch.testing.assert_close(moved[:, 0], lens.focal_px / lens.distance_mm * ones)


def test_labels_go_there_and_back_and_keep_their_angle_to_the_head():
    rotation, centre = heads()
    view = normalize_faces(CAMERA, rotation, centre)
    gaze = F.normalize(-centre, dim=-1)  # people who look into the camera
    torch.testing.assert_close(view.turned(gaze), torch.tensor([0.0, 0, -1]).double().expand(200, 3))
    target = centre + torch.randn(200, 3, generator=torch.Generator().manual_seed(2)).double() * 300
    gaze = F.normalize(target - centre, dim=-1)
    torch.testing.assert_close(view.turned_back(view.turned(gaze)), gaze)
    between = angular_error(view.turned(gaze), facing(view.head(rotation)))
    torch.testing.assert_close(between, angular_error(gaze, facing(rotation)))


def test_a_head_that_rolls_or_is_seen_from_behind_or_the_side_is_upright():
    centre = torch.tensor([0.0, 0, 600]).double()
    roll = normalize_faces(CAMERA, rotation_matrix(torch.tensor([0.0, 0, 0.7]).double()), centre)
    torch.testing.assert_close(roll.head(rotation_matrix(torch.tensor([0.0, 0, 0.7]).double())), torch.eye(3).double())
    for yaw in (math.pi, math.pi / 2):
        view = normalize_faces(CAMERA, rotation_matrix(torch.tensor([0.0, yaw, 0]).double()), centre)
        torch.testing.assert_close(view.rotation, torch.eye(3).double())


def test_a_mirrored_photograph_gives_the_mirrored_view():
    rotation, centre = heads(20)
    view = normalize_faces(CAMERA, rotation, centre)
    flip = torch.tensor([-1.0, 1, 1]).double()
    other = normalize_faces(CAMERA, rotation * flip * flip[:, None], mirrored(centre))
    gaze = F.normalize(torch.tensor([50.0, 100, 0]).double() - centre, dim=-1)
    pitch, yaw = vector_to_pitch_yaw(view.turned(gaze)).unbind(-1)
    torch.testing.assert_close(vector_to_pitch_yaw(other.turned(mirrored(gaze))), torch.stack([pitch, -yaw], -1))
    places = torch.rand(20, 4, 2).double() * 500
    flipped = torch.stack([1280 - places[..., 0], places[..., 1]], -1)
    left = torch.stack([224 - view.pixels(places)[..., 0], view.pixels(places)[..., 1]], -1)
    torch.testing.assert_close(other.pixels(flipped), left)


def test_large_and_small_lens_see_the_same():
    rotation, centre = heads(5)
    small, large = (normalize_faces(CAMERA, rotation, centre, lens) for lens in (FACE, FACE_LARGE))
    places = torch.rand(5, 3, 2).double() * 500
    torch.testing.assert_close(large.pixels(places), 2 * small.pixels(places))


def test_pictures_are_warped_as_points_are():
    image = torch.zeros(2, 3, 72, 128)
    image[0, :, 30, 50], image[1, :, 40, 70] = 1, 1
    camera = pinhole(128, 72)
    centre = torch.tensor([[-30.0, -20, 400], [10.0, 10, 500]]).double()
    rotation = rotation_matrix(torch.tensor([[0.1, 0.2, 0.3], [0, 0, -0.2]]).double())
    view = normalize_faces(camera, rotation, centre, FACE._replace(size_px=96, focal_px=400))
    seen = warp_faces(image, view.warp, 96)
    assert seen.shape == (2, 3, 96, 96)
    expected = view.pixels(torch.tensor([[[50.5, 30.5]], [[70.5, 40.5]]]).double())[:, 0]
    middle = torch.arange(96) + 0.5
    for face, place in zip(seen[:, 0], expected, strict=True):
        found = torch.stack([(face.sum(0) * middle).sum(), (face.sum(1) * middle).sum()]) / face.sum()
        assert (found - place).abs().max() < 0.2
    whole = warp_faces(torch.full((1, 3, 72, 128), 200, dtype=torch.uint8), torch.eye(3).double()[None], 160)
    assert whole.dtype == torch.uint8
    assert (whole[0, 0, 36, 64], whole[0, 0, 100, 64]) == (200, 0)  # black beyond the photograph
    behind = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0.1, 1]]).double().inverse()[None]
    assert warp_faces(image[:1], behind, 96).isfinite().all()


def test_a_camera_without_calibration_sees_53_degrees():
    assert CAMERA.tolist() == [[1280, 0, 640], [0, 1280, 360], [0, 0, 1]]
    assert 2 * math.degrees(math.atan(640 / 1280)) == pytest.approx(53.13, abs=0.01)


def test_poses_need_opencv_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'gaze\[detect\]'"):
        solve_head_pose(torch.zeros(6, 2), CAMERA)


def test_a_pose_is_found_from_six_landmarks():
    pytest.importorskip("cv2")
    rotation, centre = heads(5)
    for turn, place in zip(rotation, centre, strict=True):
        model = torch.tensor(FACE_MM).double() @ turn.mT + place
        pose = solve_head_pose(project(model, CAMERA), CAMERA)
        torch.testing.assert_close(pose.rotation, turn, atol=1e-3, rtol=0)
        torch.testing.assert_close(pose.centre_mm, model.mean(0), atol=1, rtol=0)
    with pytest.raises(UserError, match="no head has its landmarks"):
        solve_head_pose(torch.zeros(6, 2), CAMERA)
