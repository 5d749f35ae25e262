"""From faces to heads, and what is said when the detector is not there."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gaze.errors import UserError
from gaze.inference.detection import FaceDetector, heads_of


class StubDetector:
    """Answers as OpenCV's detector does: x, y, width, height, ten landmark coordinates, score."""

    def __init__(self, faces):
        self.faces = faces

    def detect(self, image):
        self.image = image
        return 1, self.faces


def detector_with(monkeypatch, tmp_path, faces):
    stub = StubDetector(faces)
    create = SimpleNamespace(create=lambda *args: stub)
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(FaceDetectorYN=create, error=RuntimeError))
    (tmp_path / "yunet.onnx").write_bytes(b"model")
    return FaceDetector(str(tmp_path / "yunet.onnx")), stub


def test_faces_become_heads_in_fractions_of_the_picture(monkeypatch, tmp_path):
    faces = np.zeros((1, 15), dtype=np.float32)
    faces[0, :4] = 208, 96, 128, 160  # in a square of 640 that shows 1280 pixels
    detector, stub = detector_with(monkeypatch, tmp_path, faces)
    picture = torch.zeros(3, 800, 1280, dtype=torch.uint8)
    picture[0] = 255
    heads = detector("a.jpg", picture) * torch.tensor([1280, 800, 1280, 800])
    # Twice as large: x 416, y 192, 256 wide, 320 high; then 0.2 beside, 0.4 above, 0.1 below.
    torch.testing.assert_close(heads, torch.tensor([[364.8, 64.0, 723.2, 544.0]]))
    assert stub.image.shape == (640, 640, 3)
    assert stub.image[0, 0].tolist() == [0, 0, 255]  # blue, green, red
    assert not stub.image[400:].any()


def test_no_face_is_no_head(monkeypatch, tmp_path):
    detector, _ = detector_with(monkeypatch, tmp_path, None)
    assert detector("a.jpg", torch.zeros(3, 20, 30, dtype=torch.uint8)).shape == (0, 4)


def test_heads_are_within_the_picture_and_left_to_right():
    faces = torch.tensor([[0.7, 0.5, 0.2, 0.2], [0.0, 0.0, 0.2, 0.2], [1.5, 0.5, 0.1, 0.1]])
    heads = heads_of(faces)
    torch.testing.assert_close(heads, torch.tensor([[0.0, 0.0, 0.24, 0.22], [0.66, 0.42, 0.94, 0.72]]))


def test_without_opencv_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'gaze\[detect\]', or give head boxes"):
        FaceDetector("yunet.onnx")


def test_without_the_model_the_place_to_get_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace())
    with pytest.raises(UserError, match=r"detector.model is not set; download YuNet once from https"):
        FaceDetector()
    with pytest.raises(UserError, match=r"there is no detector.model nowhere.onnx"):
        FaceDetector("nowhere.onnx")
