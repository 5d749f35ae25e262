"""MediaPipe in preparation: checked at once, opened late and once in each process."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch

from gaze.errors import UserError
from gaze.inference.landmarker import NoFace, SeveralFaces
from gaze.recordings import face_landmarker
from gaze.recordings.face_landmarker import FaceLandmarker
from gaze.recordings.landmarking import landmarked
from tests.recordings.miniature import sample

PICTURE = torch.zeros(3, 64, 48, dtype=torch.uint8)


class Opened:
    """Finds as many faces as the picture's first value says."""

    count = 0

    def __init__(self, **settings):
        Opened.count += 1
        self.settings = settings

    def __call__(self, name, picture):
        faces = int(picture[0, 0, 0])
        if faces != 1:
            raise (SeveralFaces if faces else NoFace)(name)
        return SimpleNamespace(landmarks=torch.full((478, 3), 0.5), blendshapes=torch.zeros(52))


@pytest.fixture
def landmarker(monkeypatch):
    monkeypatch.setattr(face_landmarker, "check_model", lambda model, sha256: None)
    monkeypatch.setattr(face_landmarker, "Landmarker", Opened)
    monkeypatch.setattr(Opened, "count", 0)
    return FaceLandmarker("a.task", "0", 0.3)


def test_it_is_opened_once_in_each_process_and_only_when_it_is_needed(landmarker):
    assert Opened.count == 0
    for _ in range(2):
        assert landmarker(PICTURE + 1).landmarks.shape == (478, 3)
    assert Opened.count == 1
    assert landmarker._open.settings == {"model": "a.task", "sha256": "0", "confidence": 0.3}
    again = pickle.loads(pickle.dumps(landmarker))
    assert again(PICTURE + 1).blendshapes.shape == (52,)
    assert Opened.count == 2


@pytest.mark.parametrize("faces", [0, 1, 2])
def test_faces_are_counted_and_only_a_single_one_gives_landmarks(landmarker, faces):
    bare = sample(landmarks=None, face_box=None, frame_size=(48, 64))
    found = landmarked(bare, lambda: PICTURE + faces, None, landmarker, own_boxes=False)
    assert found.attrs["faces"] == str(faces)
    assert (found.landmarks is not None) == (found.face_box is not None) == (faces == 1)


def test_a_missing_file_is_told_before_any_picture_is_read():
    with pytest.raises(UserError, match="there is no landmarker.model nowhere.task; download it once"):
        FaceLandmarker("nowhere.task")
