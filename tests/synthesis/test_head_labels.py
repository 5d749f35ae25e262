import numpy as np
import pytest
import torch

from gaze.head_frames import camera_head, gaze_axis, to_canonical
from gaze.synthesis.head_anatomy import anatomy_of
from gaze.synthesis.head_labels import h5_arrays
from gaze.synthesis.head_landmarks import landmarks_of, vertices_of
from gaze.synthesis.head_world import HeadWorld

N, S = 6, 32
SCHEMA = {
    "face_patch": ((N, S, S, 3), np.uint8),
    "head_mask": ((N, S, S), np.uint8),
    "left_eye_mask": ((N, S, S), np.uint8),
    "right_eye_mask": ((N, S, S), np.uint8),
    "facial_landmarks": ((N, 68, 2), np.float64),
    "facial_landmarks_3d": ((N, 68, 3), np.float64),
    "vertice": ((N, 2000, 3), np.float64),
    "latent_codes": ((N, 251), np.float64),
    "pose": ((N, 6), np.float64),
    "scale": ((N, 1), np.float64),
    "w2c_Rmat": ((N, 3, 3), np.float64),
    "w2c_Tvec": ((N, 3), np.float64),
    "c2w_Rmat": ((N, 3, 3), np.float64),
    "c2w_Tvec": ((N, 3), np.float64),
    "inmat": ((N, 3, 3), np.float64),
    "inv_inmat": ((N, 3, 3), np.float64),
    "pitchyaw_head": ((N, 2), np.float64),
    "face_head_pose": ((N, 2), np.float64),
    "pitchyaw": ((N, 2), np.float64),
    "pitchyaw_3d": ((N, 3), np.float64),
    "cam_index": ((N, 1), np.uint8),
    "frame_index": ((N, 1), np.uint8),
}


@pytest.fixture(scope="module")
def world():
    return HeadWorld(
        size=S, frames=dict.fromkeys(("train", "val", "test"), 2), cameras=3, ring_rad=0.3, principal_shift=0.05
    )


@pytest.fixture(scope="module")
def shots(world):
    return world.shots(0, "train", 0, range(N))


@pytest.fixture(scope="module")
def arrays(world, shots):
    return h5_arrays(shots, world.render(shots), world.eye_scale)


@pytest.fixture(scope="module")
def numbers(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array.dtype == np.float64}


def test_keys_shapes_and_types_are_those_of_the_layout(arrays):
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == SCHEMA


def test_pictures_are_bgr_and_masks_black_and_white(world, shots, arrays):
    pictures = world.render(shots)
    assert np.array_equal(arrays["face_patch"][..., ::-1], pictures.image.permute(0, 2, 3, 1).numpy())
    for name in ("head_mask", "left_eye_mask", "right_eye_mask"):
        assert set(np.unique(arrays[name])) == {0, 255}
        assert np.array_equal(arrays[name] > 0, getattr(pictures, name).numpy())


def test_gaze_is_told_in_the_heads_y_down_frame(shots, numbers):
    pitch, yaw = numbers["pitchyaw_head"].unbind(-1)
    told = torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), pitch.cos() * yaw.cos()], -1)
    torch.testing.assert_close(told, gaze_axis(shots.inputs.gaze))
    down = numbers["pitchyaw_head"][:, 0] > 0
    assert torch.equal(down, shots.inputs.gaze[:, 0] < 0)


def test_where_heads_face_is_told_as_normalisation_does(shots, numbers):
    torch.testing.assert_close(numbers["face_head_pose"], camera_head(shots.inputs))


def test_landmarks_of_all_views_are_the_same_points(shots, numbers):
    seen = numbers["facial_landmarks_3d"]
    pixel = seen @ numbers["inmat"].mT
    torch.testing.assert_close(pixel[..., :2] / pixel[..., 2:], numbers["facial_landmarks"])
    world = seen @ numbers["c2w_Rmat"].mT + numbers["c2w_Tvec"][:, None]
    first, second, third = world.unflatten(0, (2, 3)).unbind(1)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(second, third)
    anatomy = anatomy_of(shots.inputs.identity, shots.inputs.expression)
    canonical = to_canonical(world, numbers["pose"], numbers["scale"][:, 0])
    torch.testing.assert_close(canonical, landmarks_of(anatomy))
    points = numbers["vertice"] @ numbers["c2w_Rmat"].mT + numbers["c2w_Tvec"][:, None]
    torch.testing.assert_close(to_canonical(points, numbers["pose"], numbers["scale"][:, 0]), vertices_of(anatomy))


def test_inverses_are_inverses(numbers):
    eye = torch.eye(3).double().expand(N, 3, 3)
    torch.testing.assert_close(numbers["inmat"] @ numbers["inv_inmat"], eye)
    torch.testing.assert_close(numbers["w2c_Rmat"] @ numbers["c2w_Rmat"], eye)
    back = (numbers["w2c_Rmat"] @ numbers["c2w_Tvec"][..., None])[..., 0] + numbers["w2c_Tvec"]
    torch.testing.assert_close(back, torch.zeros(N, 3).double())


def test_the_target_lies_on_the_gaze(shots, numbers):
    centre = 100 * numbers["facial_landmarks_3d"][:, [36, 39, 42, 45, 48, 54]].mean(1)
    way = numbers["pitchyaw_3d"] - centre
    torch.testing.assert_close(way.norm(dim=-1), torch.full((N,), 600.0).double())
    assert (way[:, 2] < 0).all()  # towards the camera
    torch.testing.assert_close(numbers["pitchyaw"], 4 * numbers["pitchyaw_3d"][:, :2])


def test_codes_are_those_of_the_head(shots, numbers):
    codes = numbers["latent_codes"]
    assert torch.equal(codes[:, :80], shots.inputs.identity)
    assert torch.equal(codes[:, 80:144], shots.inputs.expression)
    assert codes[:, 144:].abs().max() == 0
