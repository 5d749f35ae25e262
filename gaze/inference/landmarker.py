"""Finds the landmarks of the one face in a picture with MediaPipe's FaceLandmarker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.spatial.transform import Rotation
from torch import Tensor

from gaze.errors import UserError
from gaze.landmarks.boxes import eye_boxes, face_boxes
from gaze.landmarks.points import BLENDSHAPES, COUNT
from gaze.tensor_files import sha256

WHERE = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task "
    "(3.8 MB, Apache-2.0)"
)
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"  # of that file
VARIABLE = "GAZE_FACE_LANDMARKER"  # from which configs take the path
# MediaPipe's axes point up and towards the viewer, ours down and into the scene.
_AXES = np.diag([1.0, -1.0, -1.0])


class NoFace(UserError):
    """A picture in which no face was found."""


class SeveralFaces(UserError):
    """A picture in which more than one face was found, so that it isn't clear who is meant."""


@dataclass(frozen=True)
class FoundFace:
    """What was found in one picture of `frame_size`."""

    landmarks: Float[Tensor, "478 3"]  # x, y as fractions of the frame; z on the scale of x, smaller is nearer
    blendshapes: Float[Tensor, "52"]
    # Rodrigues vector and translation in cm, camera frame; the head's own axes are the camera's when it faces it. Of a
    # camera that sees 63 degrees from top to bottom, which MediaPipe assumes: the distance is a guess, the angles aren't.
    head_pose: Float[Tensor, "6"]
    frame_size: Int[Tensor, "2"]  # (height, width) px

    def boxes(self) -> tuple[Float[Tensor, "4"], Float[Tensor, "4"], Float[Tensor, "4"]]:
        """The boxes (x, y, width, height) in px of face, left eye and right eye."""
        return face_boxes(self.landmarks, self.frame_size), *eye_boxes(self.landmarks, self.frame_size)


class Landmarker:
    """Landmarks, blendshapes and head pose of the one face in a picture. Close it, or use it in a `with`.

    Args:
        model: the file face_landmarker.task; configs take it from the environment variable GAZE_FACE_LANDMARKER.
        sha256: the digest that the file must have. Give another one to use another file: landmarks of another
            model move boxes, and with them what a network predicts.
        confidence: faces that are less likely than this, 0 to 1, are not found.
        video: pictures are frames of one video in their order, in which faces are followed; faster and calmer.

    Raises:
        UserError: MediaPipe or the file is missing, or it is another file; the message says how to get it.
    """

    def __init__(
        self, model: str | None = None, sha256: str = SHA256, confidence: float = 0.5, video: bool = False
    ) -> None:
        path = check_model(model, sha256)
        self.mediapipe, tasks = _mediapipe()
        self.video = video
        mode = tasks.vision.RunningMode
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(path)),
            running_mode=mode.VIDEO if video else mode.IMAGE,
            num_faces=2,  # so that a second one is noticed
            min_face_detection_confidence=confidence,
            min_face_presence_confidence=confidence,
            min_tracking_confidence=confidence,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        try:
            self.landmarker: Any = tasks.vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"MediaPipe can't read {path} ({error}); download it again from {WHERE}") from error

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], time_ms: int | None = None) -> FoundFace:
        """The face in a picture. Frames of a video need their time, which must grow.

        Raises:
            NoFace, SeveralFaces: there isn't exactly one; with the picture's name.
        """
        pixels = picture.permute(1, 2, 0).contiguous().numpy()
        image = self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=pixels)
        if self.video:
            assert time_ms is not None, "frames of a video have a time"
            result = self.landmarker.detect_for_video(image, time_ms)
        else:
            result = self.landmarker.detect(image)
        return found_face(name, result, torch.tensor(picture.shape[-2:]))

    def close(self) -> None:
        """Give MediaPipe's memory and threads back; its own clean-up fails when Python ends first."""
        self.landmarker.close()

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_model(model: str | None, sha256: str = SHA256) -> Path:
    """The landmarker's file, if all is there that opening it needs.

    Raises:
        UserError: MediaPipe or the file is missing, or it is another file; the message says how to get it.
    """
    path = _model_file(model)
    _mediapipe()
    _check_digest(path, sha256)
    return path


def found_face(name: str, result: Any, frame_size: Int[Tensor, "2"]) -> FoundFace:
    """The one face of a FaceLandmarkerResult; blendshapes and head pose are NaN if they were not asked for.

    Raises:
        NoFace, SeveralFaces: there isn't exactly one.
    """
    faces = result.face_landmarks
    if not faces:
        raise NoFace(f"{name}: no face was found; expected one, upright and not cut off; is the picture turned?")
    if len(faces) > 1:
        raise SeveralFaces(f"{name}: more than one face was found; expected one; crop the picture to whom you mean")
    if len(faces[0]) != COUNT:
        raise UserError(f"{name}: the model gives {len(faces[0])} landmarks; expected {COUNT}; get it from {WHERE}")
    blendshapes = torch.full((BLENDSHAPES,), torch.nan)
    for category in result.face_blendshapes[0] if result.face_blendshapes else ():
        blendshapes[category.index] = category.score
    head_pose = torch.full((6,), torch.nan)
    if len(result.facial_transformation_matrixes):
        head_pose = _head_pose(np.asarray(result.facial_transformation_matrixes[0], dtype=np.float64))
    landmarks = torch.tensor([[point.x, point.y, point.z] for point in faces[0]])
    return FoundFace(landmarks, blendshapes, head_pose, frame_size)


def _head_pose(matrix: np.ndarray) -> Float[Tensor, "6"]:
    """Of MediaPipe's matrix from the canonical face, in cm, to its camera; both frames turned into ours."""
    rotation = Rotation.from_matrix(_AXES @ matrix[:3, :3] @ _AXES).as_rotvec()
    return torch.from_numpy(np.concatenate([rotation, _AXES @ matrix[:3, 3]])).float()


def _mediapipe() -> tuple[Any, Any]:
    try:
        import mediapipe
        from mediapipe.tasks import python as tasks
    except ImportError as error:
        raise UserError(
            "landmarks need MediaPipe, which is not installed: pip install 'gaze[landmarks]', or give boxes"
        ) from error
    return mediapipe, tasks


def _model_file(model: str | None) -> Path:
    if not model or not Path(model).is_file():
        found = f"there is no landmarker.model {model}" if model else "landmarker.model is not set"
        raise UserError(
            f"{found}; download it once from {WHERE} and give landmarker.model=PATH, or set {VARIABLE} to the path"
        )
    return Path(model)


def _check_digest(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected.lower():
        raise UserError(
            f"{path} is not the expected landmarker: its sha256 is {found}, expected {expected}; download it again "
            f"from {WHERE}, or set landmarker.sha256={found} if you mean this file"
        )
