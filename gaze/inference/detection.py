"""Finds heads with a face detector: OpenCV's YuNet, which is small, fast on a CPU and free to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.image import resize
from gaze.errors import UserError

MODEL = "face_detection_yunet_2023mar.onnx"
WHERE = f"https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet ({MODEL}, 0.2 MB, MIT licence)"
SIDE = 640  # pixels; what the published file was exported with, so that every version of OpenCV can run it
OVERLAP = 0.3  # intersection over union above which two detections are one face

# A face box goes from brow to chin and cheek to cheek; data sets of scenes draw boxes around whole heads.
ABOVE, BELOW, BESIDE = 0.4, 0.1, 0.2  # of the face's height, height and width


class FaceDetector:
    """Heads from faces, left to right. Sees faces from the front to about the profile; never the back of a head.

    Args:
        model: the ONNX file of YuNet; it does not come with OpenCV's Python package.
        score: faces that the detector is less sure of, from 0 to 1, are left out.

    Raises:
        UserError: OpenCV or the file is missing; the message says how to get it.
    """

    def __init__(self, model: str | None = None, score: float = 0.7) -> None:
        try:
            import cv2
        except ImportError as error:
            raise UserError(
                "heads=detect needs OpenCV, which is not installed: pip install 'gaze[detect]', or give head boxes"
            ) from error
        if model is None or not Path(model).is_file():
            found = "detector.model is not set" if model is None else f"there is no detector.model {model}"
            raise UserError(f"{found}; download YuNet once from {WHERE} and give detector.model=PATH")
        try:
            self.detector: Any = cv2.FaceDetectorYN.create(model, "", (SIDE, SIDE), score, OVERLAP)
        except cv2.error as error:
            raise UserError(f"OpenCV can't read the detector {model}; download it again from {WHERE}") from error

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        height, width = picture.shape[-2:]
        scale = SIDE / max(height, width)
        small = resize(picture, (max(1, round(height * scale)), max(1, round(width * scale))))
        square = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        square[: small.shape[1], : small.shape[2]] = small.permute(1, 2, 0).numpy()[..., ::-1]  # OpenCV reads BGR
        _, faces = self.detector.detect(square)
        if faces is None:
            return torch.zeros(0, 4)
        corner_and_size = torch.from_numpy(np.asarray(faces, dtype=np.float32)[:, :4].copy())
        return heads_of(corner_and_size / (torch.tensor([width, height] * 2) * scale))


def heads_of(faces: Float[Tensor, "n 4"]) -> Float[Tensor, "m 4"]:
    """Head boxes (x0, y0, x1, y1), within the picture and left to right, of n faces (x, y, width, height)."""
    x, y, width, height = faces.unbind(1)
    heads = torch.stack(
        [x - BESIDE * width, y - ABOVE * height, x + (1 + BESIDE) * width, y + (1 + BELOW) * height], dim=1
    ).clamp(0, 1)
    heads = heads[(heads[:, 2] > heads[:, 0]) & (heads[:, 3] > heads[:, 1])]
    return heads[heads[:, 0].argsort()]
