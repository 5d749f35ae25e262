"""Faces as estimators for photographs see them: in the middle of a picture of a camera that was turned at them."""

import pytest
import torch

from gaze.errors import UserError
from gaze.face_normalization import FACE
from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.head_frames import camera_gaze, camera_head, to_world
from gaze.redirection.figures import figures
from gaze.redirection.judges import Judges
from gaze.redirection.renormalised import CORNERS, EYES_MM, NOSE, face_views, renormalised
from gaze.redirection.targets import facing, looking
from gaze.types import FaceTargets, collate
from tests.redirection.some_heads import PaintedHeads

SIDE = 200


@pytest.fixture(scope="module")
def head():
    """A head that is turned and to the side of the picture, with four corners of eyes and two of a nose."""
    inputs = facing(collate([PaintedHeads("test")[0].inputs]), torch.tensor([[0.1, 0.4]]))
    inputs.pose[:, 3:] = torch.tensor([[0.8, 0.5, 0.0]])
    inputs.camera[:] = torch.tensor([[400.0, 0, SIDE / 2], [0, 400, SIDE / 2], [0, 0, 1]])
    landmarks = torch.zeros(1, 66, 3)
    landmarks[0, CORNERS, 0] = torch.tensor([-0.45, -0.2, 0.2, 0.45])
    landmarks[0, CORNERS, 1], landmarks[0, CORNERS, 2] = 0.2, 0.5
    landmarks[0, NOSE, 0], landmarks[0, NOSE, 1], landmarks[0, NOSE, 2] = torch.tensor([-0.1, 0.1]), -0.3, 0.6
    return inputs, landmarks


def test_the_face_is_in_the_middle_upright_and_at_its_distance(head):
    inputs, landmarks = head
    views = face_views(inputs, landmarks)
    world = to_world(landmarks, inputs.pose, inputs.scale)
    seen = world @ inputs.world_to_camera[:, :3, :3].mT + inputs.world_to_camera[:, None, :3, 3]
    pixel = seen @ inputs.camera.mT
    pixel = views.pixels((pixel[..., :2] / pixel[..., 2:]).double())[0]
    middle = (pixel[list(CORNERS)].mean(0) + pixel[list(NOSE)].mean(0)) / 2
    torch.testing.assert_close(middle, torch.full((2,), FACE.size_px / 2).double(), atol=3.0, rtol=0)
    # Seen from 600 mm with 960 px, eyes that are 90.2 mm apart and turned away by 23 degrees
    apart = float((pixel[CORNERS[3]] - pixel[CORNERS[0]]).norm())
    assert apart == pytest.approx(EYES_MM * FACE.focal_px / FACE.distance_mm * 0.92, rel=0.05)
    assert abs(float(pixel[CORNERS[3], 1] - pixel[CORNERS[0], 1])) < 0.05 * apart  # no roll


def test_a_gaze_straight_ahead_of_a_head_that_faces_the_camera_stays_so(head):
    inputs, landmarks = head
    # Turned at the camera: where its face is, not where the picture's middle is
    position = inputs.world_to_camera[0, :3, :3] @ inputs.pose[0, 3:] + inputs.world_to_camera[0, :3, 3]
    toward = -position / position.norm()
    pitch, yaw = -toward[1].asin(), torch.atan2(-toward[0], -toward[2])
    at_camera = looking(facing(inputs, torch.stack([pitch, yaw])[None]), torch.zeros(1, 2))
    views = face_views(at_camera, landmarks)
    turned = views.turned(camera_gaze(at_camera).double())
    assert angular_error(turned, turned.new_tensor([[0.0, 0, -1]])).rad2deg() < 3
    ahead = pitch_yaw_to_vector(camera_head(at_camera).double())
    torch.testing.assert_close(views.turned(ahead), turned, atol=1e-4, rtol=0)


def test_pictures_are_warped_and_white_where_they_ended(head):
    inputs, landmarks = head
    image = torch.full((1, 3, SIDE, SIDE), 0.25)
    seen = renormalised(image, face_views(inputs, landmarks))
    assert seen.shape == (1, 3, FACE.size_px, FACE.size_px)
    assert set(seen.round(decimals=3).unique().tolist()) >= {0.25}
    far = inputs.map(lambda t: t.clone())
    far.camera[:, 0, 2] -= 150.0  # the head is at the picture's edge
    assert float(renormalised(image, face_views(far, landmarks)).max()) == 1.0


def test_data_without_landmarks_are_told(head):
    inputs, landmarks = head
    targets = FaceTargets(torch.zeros(1, 3, 16, 16))
    with pytest.raises(UserError, match="needs 66 or 68 landmarks, and the data set gives none"):
        figures(torch.zeros(1, 3, 16, 16), inputs, targets, Judges(), renormalise=True)
    with pytest.raises(UserError, match="gives 12"):
        face_views(inputs, landmarks[:, :12])
