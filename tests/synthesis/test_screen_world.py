from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from gaze.devices import load_devices
from gaze.errors import UserError
from gaze.geometry import (
    camera_plane_to_screen,
    gaze_to_plane,
    pitch_yaw_to_vector,
    screen_to_camera_plane,
)
from gaze.synthesis.face_boxes import boxes_of
from gaze.synthesis.screen_devices import VIRTUAL, choose_devices, write_devices
from gaze.synthesis.screen_world import ScreenWorld

FRAMES = {"train": 24, "val": 10, "test": 20}


def tensor(samples, name):
    return torch.tensor([getattr(s, name) for s in samples], dtype=torch.float64)


@pytest.fixture(scope="module")
def world():
    return ScreenWorld(face_size=24, eye_size=20, frames=FRAMES, session=6)


@pytest.fixture(scope="module")
def samples(world):
    return world.render(0, "train", range(24 * 12))


def test_a_sample_is_a_function_of_its_number(world, samples):
    for index in (0, 31, 200):
        alone = world.render(0, "train", [index])[0]
        for name, value in vars(samples[index]).items():
            np.testing.assert_equal(getattr(alone, name), value, err_msg=name)


def test_seeds_and_splits_share_no_person(world):
    eyes = torch.cat(
        [world.shots(s, split, range(0, 200, 10)).faces.subject.eye_distance for s in (0, 1) for split in FRAMES]
    )
    people = sum(len({i // FRAMES[split] for i in range(0, 200, 10)}) for split in FRAMES)
    assert len(eyes.unique()) == 2 * people


def test_people_and_sessions_keep_what_is_theirs(world):
    shots = world.shots(0, "train", range(96))
    for person in range(4):
        mine = shots.person == person
        assert mine.sum() == 24
        assert len(shots.faces.subject.iris_radius[mine].unique()) == 1
        for session in range(4):
            both = mine & (shots.session == session)
            assert shots.frame[both].tolist() == list(range(6))
            assert len(shots.screens.device[both].unique()) == len(shots.screens.orientation[both].unique()) == 1
            assert len(shots.faces.background[both].unique(dim=0)) == 1
    assert len(shots.faces.position.unique(dim=0)) == 96


def test_labels_agree_with_each_other(samples):
    orientation = torch.tensor([s.orientation for s in samples])
    size, offset = tensor(samples, "screen_cm"), tensor(samples, "cam_to_screen_cm")
    on_screen, on_plane = tensor(samples, "gaze_screen_cm"), tensor(samples, "gaze_cam_cm")
    torch.testing.assert_close(screen_to_camera_plane(on_screen, size, offset, orientation), on_plane)
    torch.testing.assert_close(camera_plane_to_screen(on_plane, size, offset, orientation), on_screen)
    assert (on_screen > 0.03 * size - 1e-9).all()
    assert (on_screen < 0.97 * size + 1e-9).all()
    pixels, native = tensor(samples, "gaze_screen_px"), tensor(samples, "screen_px")
    torch.testing.assert_close(pixels / native, on_screen / size)
    gaze, origin = tensor(samples, "gaze_vector"), tensor(samples, "gaze_origin_cm")
    torch.testing.assert_close(gaze_to_plane(origin, gaze), on_plane)
    torch.testing.assert_close(pitch_yaw_to_vector(tensor(samples, "gaze_pitchyaw")), gaze)
    pose = torch.from_numpy(np.stack([s.head_pose for s in samples]))
    torch.testing.assert_close(pose[:, 3:], origin)
    facing = -torch.from_numpy(Rotation.from_rotvec(pose[:, :3].numpy()).as_matrix())[:, :, 2]
    assert (facing * gaze).sum(1).min() > 0.7  # heads follow eyes


def test_devices_are_held_as_people_hold_them(samples):
    ways = {
        kind: {s.orientation for s in samples if s.device_kind == kind and s.device} for kind in ("phone", "tablet")
    }
    assert ways == {"phone": {1, 3, 4}, "tablet": {1, 2, 3, 4}}
    assert {s.device for s in samples} == set(VIRTUAL)
    for sample in samples:
        width, height = sample.screen_cm
        assert (width < height) == (sample.orientation <= 2)
        assert sample.screen_px[0] / width == pytest.approx(sample.screen_px[1] / height, rel=0.03)


def test_pictures_have_the_sizes_that_were_asked_for_and_their_margin(samples):
    for name, size in (("face", 34), ("left_eye", 28), ("right_eye", 28)):
        with Image.open(BytesIO(getattr(samples[0], name))) as picture:
            assert (picture.format, picture.size, picture.mode) == ("PNG", (size, size), "RGB")


def test_a_margin_is_around_what_is_shown_without_it():
    bare, wide = (ScreenWorld(20, 40, FRAMES, margin=margin) for margin in (0.0, 0.2))
    shots = wide.shots(0, "val", range(6))
    quiet = replace(shots, exposure=replace(shots.exposure, noise=torch.zeros_like(shots.exposure.noise)))
    boxes = bare.boxes(shots, 0, "val", range(6))
    for plain, more, rest in zip(bare.crops(quiet, boxes), wide.crops(quiet, boxes), (4, 8, 8), strict=True):
        middle = more[..., rest:-rest, rest:-rest]
        assert (plain.int() - middle.int()).abs().max() <= 2


def test_boxes_are_noisy_and_about_right(world):
    shots = world.shots(0, "val", range(10))
    found, truth = world.boxes(shots, 0, "val", range(10)), boxes_of(shots.faces)
    apart = (found - truth)[..., :2].abs() / truth[..., 2:]
    assert 0.003 < apart.mean() < 0.05
    assert torch.equal(found[..., 2], found[..., 3])
    samples = world.render(0, "val", range(10))
    torch.testing.assert_close(tensor(samples, "left_eye_box"), found[:, 1])


def test_closed_eyes_are_marked():
    world = ScreenWorld(face_size=16, eye_size=16, frames=FRAMES, closed=0.5)
    samples = world.render(0, "train", range(60))
    invalid = [s for s in samples if not s.valid]
    assert 15 < len(invalid) < 45
    assert {s.reject_reason for s in invalid} == {"eyes closed"}
    assert {s.reject_reason for s in samples if s.valid} == {None}


@pytest.mark.parametrize(("targets", "dots"), [("3x3", 9), ("13", 13), ("5x11", 55)])
def test_a_session_of_dots_shows_each_once(targets, dots):
    frames = {"train": 2 * 2 * dots, "val": 1, "test": 1}
    world = ScreenWorld(frames=frames, targets=targets, frames_per_dot=2)
    shots = world.shots(0, "train", range(4 * dots))
    places = shots.screens.gaze_cm / shots.screens.size_cm
    for session in range(2):
        mine = shots.session == session
        assert len((places[mine] * 1e6).round().unique(dim=0)) == dots
        assert shots.dot[mine].tolist() == [i // 2 for i in range(2 * dots)]
    assert places.min() > 0.02
    assert places.max() < 0.98


def test_a_pursuit_is_smooth():
    world = ScreenWorld(frames={"train": 60, "val": 1, "test": 1}, targets="pursuit", session=60)
    shots = world.shots(0, "train", range(60))
    steps = (shots.screens.gaze_cm[1:] - shots.screens.gaze_cm[:-1]).norm(dim=1)
    assert 0 < steps.max() < 1
    sample = ScreenWorld(16, 16, world.frames, targets="pursuit").render(0, "train", [4])[0]
    assert sample.dot_index is None
    assert sample.timestamp_s == pytest.approx(4 / 30)


def test_first_sessions_are_for_calibration(samples):
    assert {s.session for s in samples if s.is_calib_dot} == {"s000"}
    assert sum(s.is_calib_dot for s in samples) == 12 * 6


def test_photometric_options_change_pictures_and_nothing_else():
    plain = ScreenWorld(face_size=24, eye_size=16, frames=FRAMES).render(0, "val", [3])[0]
    for option in ({"blur": 1.5}, {"gamma": 0.4}, {"refraction": True}, {"format": "jpeg"}):
        other = ScreenWorld(face_size=24, eye_size=16, frames=FRAMES, **option).render(0, "val", [3])[0]
        assert other.left_eye != plain.left_eye, option
        assert other.gaze_cam_cm == plain.gaze_cam_cm
        assert other.left_eye_box == plain.left_eye_box


def test_devices_of_the_table_can_be_used_and_are_written_beside_the_data(tmp_path):
    name = next(iter(load_devices()))
    world = ScreenWorld(devices=[name], frames=FRAMES, focal_spread=0.1, portrait_only=True)
    shots = world.shots(0, "val", range(20))
    assert shots.screens.orientation.unique().tolist() == [1]
    assert len(shots.faces.view.focal.unique()) == 1
    assert shots.faces.view.focal[0] != 560
    write_devices(choose_devices(None), tmp_path / "devices.yaml")
    read = load_devices(tmp_path / "devices.yaml")
    for name, device in VIRTUAL.items():
        assert (read[name].kind, read[name].screen_px) == (device.kind, device.screen_px)
        assert read[name].camera_side == device.camera_side
        assert read[name].screen_cm == pytest.approx(device.screen_cm)
        assert read[name].camera_to_screen_cm == pytest.approx(device.camera_to_screen_cm)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("face_size", 4, "face_size is 4; expected a whole number from 16"),
        ("eye_size", 400, "a margin of 0.2 makes 560 px; expected at most 512 px with the margin"),
        ("margin", -0.1, "margin is -0.1; expected a number from 0 to 1"),
        ("targets", "dots", "targets is 'dots'; expected one of uniform"),
        ("format", "bmp", "format is 'bmp'"),
        ("glasses", 2.0, "glasses is 2.0; expected a number from 0 to 1"),
        ("frames", {"train": 3}, "frames names train; expected train, val, test"),
        ("session", 0, "session is 0"),
    ],
)
def test_bad_arguments_are_refused(argument, value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (compared below, brackets and all)
        ScreenWorld(**{argument: value})
    assert message in str(caught.value)


def test_an_unknown_device_is_a_sentence():
    with pytest.raises(UserError, match="virtual_fone"):
        ScreenWorld(devices=["virtual_fone_small"])
