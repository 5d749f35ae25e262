"""Miniature people of MPIIFaceGaze: 28-field lines and MATLAB calibrations."""

import math

import numpy as np
from PIL import Image
from scipy.io import savemat

# Half a turn about the axis (0, cos a, sin a), with cos 2a = 0.8: [x, y, 0] becomes (-x, 0.8 y, 0.6 y). The screen's
# x runs against the camera's, as that of a laptop does, and its lower edge is nearer to the user.
HALF = math.atan2(0.6, 0.8) / 2
ROTATION = np.array([[0.0], [math.pi * math.cos(HALF)], [math.pi * math.sin(HALF)]])
TRANSLATION = np.array([[150.0], [10.0], [0.0]])  # mm
# The eye on the picture's left first: corners 20 px apart; mouth below
LANDMARKS = (500, 300, 520, 300, 560, 300, 580, 300, 520, 380, 560, 380)


def line(
    picture="day01/0001.jpg",
    px=(640, 400),
    landmarks=LANDMARKS,
    pose=(0.1, 0.2, 0.3, 10, 20, 600),
    centre=(10, 90, 660),
    target=(-10, 90, 60),  # (640, 400) px are (160, 100) mm, (-160, 80, 60) turned, (-10, 90, 60) moved
    eye="left",
):
    return " ".join(map(str, (picture, *px, *landmarks, *pose, *centre, *target, eye)))


def write_person(root, name="p00", lines=None, **changes):
    """A person with a picture for each line; `changes` replace or, with None, drop arrays of the calibration."""
    folder = root / name
    lines = [line()] if lines is None else lines
    (folder / "Calibration").mkdir(parents=True)
    for text in lines:
        picture = folder / text.split(" ")[0]
        if picture.suffix == ".jpg":
            picture.parent.mkdir(exist_ok=True)
            Image.new("RGB", (1280, 720)).save(picture)
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    files = {
        "screenSize": {"width_pixel": 1280, "height_pixel": 800, "width_mm": 320.0, "height_mm": 200.0},
        "monitorPose": {"rvects": ROTATION, "tvects": TRANSLATION},
        "Camera": {
            "cameraMatrix": np.array([[1000.0, 0, 640], [0, 1010, 360], [0, 0, 1]]),
            "distCoeffs": np.zeros((1, 5)),
        },
    }
    for file, arrays in files.items():
        arrays = {key: changes.get(key, value) for key, value in arrays.items()}
        savemat(
            folder / "Calibration" / f"{file}.mat", {key: value for key, value in arrays.items() if value is not None}
        )
    return folder
