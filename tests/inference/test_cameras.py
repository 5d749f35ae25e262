"""Cameras as users name them."""

import json
import logging

import pytest
import yaml

from gaze.errors import UserError
from gaze.inference.cameras import Camera

CALIBRATION = {
    "image_width": 640,
    "image_height": 480,
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 310.0, 0, 510.0, 250.0, 0, 0, 1]},
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, 0, 0, 0, 0]},
}


def test_a_guess_is_as_wide_as_the_picture_and_says_so():
    camera = Camera()
    assert camera.matrix("a.jpg", (40, 60)).tolist() == [[60, 0, 30], [0, 60, 20], [0, 0, 1]]
    assert not camera.known
    assert camera.about["from"] == "guess"
    given = Camera(900, [31, 19])
    assert given.matrix("a.jpg", (40, 60)).tolist() == [[900, 0, 31], [0, 900, 19], [0, 0, 1]]
    assert given.about == {"from": "given", "focal_px": 900, "centre_px": [31, 19]}
    assert given.known


def test_a_calibration_follows_the_size_of_pictures_and_our_corner(tmp_path, caplog):
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(CALIBRATION))
    rows = {**CALIBRATION, "camera_matrix": [[500, 0, 310], [0, 510, 250], [0, 0, 1]]}
    (tmp_path / "camera.json").write_text(json.dumps(rows))
    with caplog.at_level(logging.WARNING):
        camera = Camera(file=str(tmp_path / "camera.yaml"))
    assert "distortion of the lens is not corrected" in caplog.text
    whole, half = camera.matrix("a.jpg", (480, 640)), camera.matrix("a.jpg", (240, 320))
    assert whole.tolist() == [[500, 0, 310.5], [0, 510, 250.5], [0, 0, 1]]  # OpenCV counts from the pixel's middle
    assert half[:2].tolist() == (whole[:2] / 2).tolist()
    assert Camera(file=str(tmp_path / "camera.json")).matrix("a.jpg", (480, 640)).tolist() == whole.tolist()
    with pytest.raises(UserError, match=r"a.jpg has 480 x 640 pixels, and .*camera.yaml is of a camera of 640 x 480"):
        camera.matrix("a.jpg", (640, 480))


def test_what_is_no_camera_is_refused(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "text.json").write_text("{")
    flat = {**CALIBRATION, "camera_matrix": [[0] * 3] * 3}
    (tmp_path / "flat.json").write_text(json.dumps(flat))
    for given, message in (
        ({"focal_px": -1}, "focal_px=-1; expected a focal length"),
        ({"centre_px": [1, 2]}, "centre_px is given without"),
        ({"focal_px": 9, "centre_px": [1]}, "expected two numbers"),
        ({"focal_px": 9, "file": "a.json"}, "give it, or them"),
        ({"file": str(tmp_path / "none.json")}, "can't be read"),
        ({"file": str(tmp_path / "text.json")}, "neither JSON nor YAML"),
        ({"file": str(tmp_path / "other.json")}, "holds no camera; expected JSON or YAML with"),
        ({"file": str(tmp_path / "flat.json")}, "which is no camera"),
    ):
        with pytest.raises(UserError, match=message):
            Camera(**given)
