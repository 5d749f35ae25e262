import math

import torch

from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.synthesis.draws import Draws
from gaze.synthesis.face_subjects import draw_subjects
from gaze.synthesis.faces import eyes_of, head_rotation
from tests.synthesis.some_faces import some_faces


def test_a_head_faces_where_it_is_told():
    """Rz(roll) Ry(-yaw) Rx(down) of the specification: R (0, 0, -1) = dir(yaw, down), whatever the roll is not."""
    yaw, down = torch.tensor([[0.3, -0.5, 1.0], [0.2, -0.1, 0.4]], dtype=torch.float64)
    turn = head_rotation(-down, -yaw, torch.zeros(3, dtype=torch.float64))  # theirs is right and down, ours left and up
    expected = torch.stack([yaw.sin() * down.cos(), down.sin(), -yaw.cos() * down.cos()], -1)
    torch.testing.assert_close(-turn[..., 2], expected)
    torch.testing.assert_close(-turn[..., 2], pitch_yaw_to_vector(torch.stack([-down, -yaw], -1)))


def test_roll_turns_the_picture_alone():
    roll = torch.tensor([0.4], dtype=torch.float64)
    pitch, yaw = torch.tensor([[0.2], [0.3]], dtype=torch.float64)
    plain, rolled = head_rotation(pitch, yaw, 0 * roll), head_rotation(pitch, yaw, roll)
    about_z = rolled @ plain.mT
    expected = torch.tensor([[0.4]], dtype=torch.float64)
    torch.testing.assert_close(torch.atan2(about_z[:, 1, 0], about_z[:, 0, 0])[None], expected)
    torch.testing.assert_close(about_z[0, 2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))


def test_visual_axes_meet_at_the_target():
    faces = some_faces()
    eyes = eyes_of(faces)
    reach = (faces.target[:, None] - eyes.centre).norm(dim=-1, keepdim=True)
    torch.testing.assert_close(eyes.centre + reach * eyes.visual, faces.target[:, None].expand(-1, 2, -1))
    between = (eyes.centre[:, 0] - eyes.centre[:, 1]).norm(dim=-1)
    torch.testing.assert_close(between, faces.subject.eye_distance)
    assert (eyes.centre[:, 0, 0] > eyes.centre[:, 1, 0]).all()  # the left eye is on the image's right


def test_optical_axes_are_temporal_of_visual_ones_and_below():
    faces = some_faces(30)
    eyes = eyes_of(faces)
    own = [axis @ faces.rotation for axis in (eyes.visual, eyes.optical)]
    aside = own[1][..., 0] - own[0][..., 0]
    assert (aside[:, 0] > 0).double().mean() > 0.9  # kappa is 5 degrees with a deviation of 1.6
    assert (aside[:, 1] < 0).double().mean() > 0.9
    kappa = torch.rad2deg(angular_error(eyes.visual, eyes.optical))
    assert 3 < kappa.mean() < 8


def test_people_differ_as_much_as_is_asked():
    alike, life, much = (draw_subjects(Draws(0, "p", range(2000)), kappa_scale=k) for k in (0.0, 1.0, 2.0))
    assert alike.kappa_nasal.std() < 1e-6
    assert alike.kappa_asymmetry.abs().max() == 0
    assert abs(math.degrees(life.kappa_nasal.std()) - 1.6) < 0.1
    assert abs(math.degrees(much.kappa_nasal.std()) - 3.2) < 0.2
    assert abs(math.degrees(much.kappa_nasal.mean()) - 5.0) < 0.3
    assert abs(life.glasses.mean() - 0.3) < 0.04
    assert abs(life.eye_distance.mean() - 6.3) < 0.03
