"""The landmarker, with a stand-in for MediaPipe."""

import hashlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from gaze.errors import UserError
from gaze.inference.landmarker import SHA256, Landmarker, NoFace, SeveralFaces, found_face

SIZE = torch.tensor([48, 64])
CONTENT = b"a landmarker"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def one_face(**changes):
    """A result as MediaPipe gives it: the head 40 cm away, turned by 90 degrees to its left about the vertical."""
    points = [SimpleNamespace(x=i / 1000, y=i / 2000, z=-0.1) for i in range(478)]
    blendshapes = [SimpleNamespace(index=i, score=i / 100, category_name="") for i in range(52)]
    matrix = np.array([[0, 0, 1, 1], [0, 1, 0, 6], [-1, 0, 0, -40], [0, 0, 0, 1]], dtype=np.float32)
    whole = {
        "face_landmarks": [points],
        "face_blendshapes": [blendshapes],
        "facial_transformation_matrixes": [matrix],
    }
    return SimpleNamespace(**{**whole, **changes})


class StandIn:
    """Records what it was told, and finds `result` in every picture."""

    def __init__(self, result):
        self.result, self.seen, self.options, self.closed = result, [], None, False

    def create_from_options(self, options):
        self.options = options
        return self

    def detect(self, image):
        self.seen.append((image, None))
        return self.result

    def detect_for_video(self, image, time_ms):
        self.seen.append((image, time_ms))
        return self.result

    def close(self):
        self.closed = True


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(CONTENT)
    return str(path)


@pytest.fixture
def stand_in(monkeypatch):
    made = StandIn(one_face())
    vision = SimpleNamespace(
        RunningMode=SimpleNamespace(IMAGE="image", VIDEO="video"),
        FaceLandmarkerOptions=SimpleNamespace,
        FaceLandmarker=made,
    )
    python = ModuleType("mediapipe.tasks.python")
    python.vision, python.BaseOptions = vision, SimpleNamespace
    tasks = ModuleType("mediapipe.tasks")
    tasks.python = python
    whole = ModuleType("mediapipe")
    whole.tasks, whole.Image, whole.ImageFormat = tasks, SimpleNamespace, SimpleNamespace(SRGB="srgb")
    for module in (whole, tasks, python):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def test_a_picture_becomes_landmarks_blendshapes_and_boxes(stand_in, model):
    picture = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    with Landmarker(model, sha256=DIGEST.upper(), confidence=0.3) as landmarker:
        face = landmarker("a.jpg", picture)
    assert stand_in.closed
    image, _ = stand_in.seen[0]
    assert image.image_format == "srgb"
    assert np.array_equal(image.data, picture.permute(1, 2, 0).numpy())
    options = stand_in.options
    assert (options.running_mode, options.num_faces, options.min_face_detection_confidence) == ("image", 2, 0.3)
    assert options.base_options.model_asset_path == model
    assert face.landmarks[100].tolist() == pytest.approx([0.1, 0.05, -0.1])
    assert face.blendshapes[9].item() == pytest.approx(0.09)
    assert face.frame_size.tolist() == [48, 64]
    box, left, right = face.boxes()
    assert left[2].item() == pytest.approx(1.5 * 0.099 * (64**2 + 24**2) ** 0.5, rel=1e-4)  # corners 263 and 362
    assert right[2] < box[2]


def test_head_pose_is_in_our_camera_frame():
    """MediaPipe: y up, z to the viewer. Ours: y down, z into the scene; turning about the vertical changes its sign."""
    pose = found_face("a.jpg", one_face(), SIZE).head_pose
    assert pose.tolist() == pytest.approx([0, -np.pi / 2, 0, 1, -6, 40], abs=1e-5)
    straight = found_face("a.jpg", one_face(facial_transformation_matrixes=[np.eye(4)]), SIZE)
    assert straight.head_pose.tolist() == [0] * 6


def test_what_was_not_asked_for_is_nan():
    face = found_face("a.jpg", one_face(face_blendshapes=[], facial_transformation_matrixes=[]), SIZE)
    assert face.blendshapes.isnan().all()
    assert face.head_pose.isnan().all()


def test_frames_of_a_video_are_followed(stand_in, model):
    landmarker = Landmarker(model, DIGEST, video=True)
    landmarker("clip.mp4", torch.zeros(3, 8, 8, dtype=torch.uint8), time_ms=33)
    assert stand_in.options.running_mode == "video"
    assert stand_in.seen[0][1] == 33


@pytest.mark.parametrize(
    ("faces", "kind", "message"),
    [
        ([], NoFace, "a.jpg: no face was found; expected one"),
        (one_face().face_landmarks * 2, SeveralFaces, "a.jpg: more than one face was found; expected one; crop"),
        ([one_face().face_landmarks[0][:468]], UserError, "gives 468 landmarks; expected 478"),
    ],
)
def test_not_exactly_one_face(faces, kind, message):
    with pytest.raises(kind, match=message):
        found_face("a.jpg", one_face(face_landmarks=faces), SIZE)


def test_mediapipe_is_missing(monkeypatch, model):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"not installed: pip install 'gaze\[landmarks\]', or give boxes"):
        Landmarker(model, DIGEST)


@pytest.mark.parametrize(
    ("given", "found"), [(None, "landmarker.model is not set"), ("no.task", "there is no .*no.task")]
)
def test_the_model_is_missing(given, found):
    with pytest.raises(UserError, match=f"{found}; download it once from https://.*set GAZE_FACE_LANDMARKER"):
        Landmarker(given)


def test_another_file_is_only_taken_when_its_digest_is_given(stand_in, model):
    with pytest.raises(UserError, match=f"its sha256 is {DIGEST}, expected {SHA256}; .*set landmarker.sha256={DIGEST}"):
        Landmarker(model)
    assert len(SHA256) == 64


def test_a_file_that_mediapipe_cannot_read(stand_in, model, monkeypatch):
    def refuse(options):
        raise RuntimeError("Unable to open zip archive.")

    monkeypatch.setattr(stand_in, "create_from_options", refuse)
    with pytest.raises(UserError, match="can't read .* .Unable to open zip archive.*download it again"):
        Landmarker(model, DIGEST)
