import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.geometry import pitch_yaw_to_vector
from gaze.synthesis.poses import rotation

ANGLE = st.floats(-1.5, 1.5)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(ANGLE, ANGLE, ANGLE)
def test_a_head_faces_its_pitch_and_yaw_whatever_its_roll(pitch, yaw, roll):
    pitch, yaw, roll = (torch.tensor(v, dtype=torch.float64) for v in (pitch, yaw, roll))
    turn = rotation(pitch, yaw, roll)
    torch.testing.assert_close(turn @ turn.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(turn) > 0
    face = turn @ torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(face, pitch_yaw_to_vector(torch.stack([pitch, yaw])))
