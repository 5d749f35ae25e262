"""A face, or a clip of one, on its way from the file to a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.image import resize


@dataclass(frozen=True)
class FaceView:
    """The pictures of one person, in order of time, and what is true of the centre one."""

    images: tuple[UInt8[Tensor, "3 H W"], ...]  # a clip's may differ in size
    gaze: Float[Tensor, "3"]  # unit vector in the camera frame
    head: Float[Tensor, "2"]  # pitch, yaw in radians; NaN unknown


@runtime_checkable
class Augmentation(Protocol):
    """Another view of the same face, with labels that are true of it; a clip changes as a whole."""

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView: ...


def mirrored(view: FaceView) -> FaceView:
    """What a mirror shows: the gaze's x and the head's yaw change sign."""
    return replace(
        view,
        images=tuple(image.flip(-1) for image in view.images),
        gaze=view.gaze * view.gaze.new_tensor([-1.0, 1.0, 1.0]),
        head=view.head * view.head.new_tensor([1.0, -1.0]),
    )


def stacked(view: FaceView, size: Sequence[int]) -> UInt8[Tensor, "t 3 h w"]:
    """The pictures at one (height, width)."""
    return torch.stack([resize(image, size) for image in view.images])
