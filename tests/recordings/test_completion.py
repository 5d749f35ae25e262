"""Labels and sizes that follow from others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gaze.devices import load_devices
from gaze.recordings.completion import complete
from gaze.recordings.sample import ScreenSample

DEVICES = load_devices()
BARE = ScreenSample("mini", "anna", "anna-1", 0, device="iPhone 6")


def test_a_known_device_gives_its_sizes_as_it_is_held():
    found = complete(BARE, DEVICES)
    assert (found.device, found.device_kind) == ("iphone_6", "phone")
    assert found.screen_cm == (5.85, 10.405)
    assert found.screen_pt == (375, 667)
    assert found.cam_to_screen_cm == pytest.approx((1.861, 0.803))
    turned = complete(replace(BARE, orientation=3), DEVICES)
    assert turned.screen_cm == (10.405, 5.85)
    assert turned.cam_to_screen_cm == found.cam_to_screen_cm


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_labels_go_from_pixels_to_the_camera_and_back(orientation):
    start = complete(replace(BARE, orientation=orientation, gaze_screen_px=(100.0, 300.0)), DEVICES)
    assert start.gaze_screen_cm[0] == pytest.approx(100 * start.screen_cm[0] / start.screen_px[0])
    back = complete(replace(BARE, orientation=orientation, gaze_cam_cm=start.gaze_cam_cm), DEVICES)
    assert back.gaze_screen_px == pytest.approx((100, 300))
    if orientation == 1:  # eq. of GazeCapture: the camera's offset is subtracted, y turns upwards
        assert start.gaze_cam_cm == pytest.approx((start.gaze_screen_cm[0] - 1.861, -0.803 - start.gaze_screen_cm[1]))


def test_what_a_data_set_says_is_not_changed():
    said = replace(BARE, screen_cm=(6.0, 11.0), gaze_cam_cm=(1.0, -2.0), gaze_screen_cm=(9.0, 9.0))
    found = complete(said, DEVICES)
    assert (found.screen_cm, found.gaze_cam_cm, found.gaze_screen_cm) == ((6.0, 11.0), (1.0, -2.0), (9.0, 9.0))


def test_a_direction_follows_from_the_eyes_and_the_point():
    found = complete(replace(BARE, gaze_cam_cm=(0.0, 0.0), gaze_origin_cm=(0.0, 0.0, 30.0)), DEVICES)
    assert found.gaze_vector == pytest.approx((0, 0, -1))
    assert found.gaze_pitchyaw == pytest.approx((0, 0))


@pytest.mark.parametrize("device", ["Nokia 3310", None])
def test_an_unknown_device_leaves_all_as_it_was(device):
    said = replace(BARE, device=device, gaze_screen_px=(1.0, 2.0))
    assert complete(said, DEVICES) == said


def test_a_screen_without_a_size_gives_no_label():
    found = complete(
        replace(BARE, device=None, screen_cm=(0.0, 0.0), screen_px=(10, 10), gaze_screen_px=(1.0, 2.0)), {}
    )
    assert found.gaze_screen_cm is None
