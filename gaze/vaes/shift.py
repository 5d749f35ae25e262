"""How far an autoencoder moves the gaze in the pictures that it draws again, by an estimator of gaze."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gaze.geometry import angular_error
from gaze.types import DirectionInputs, DirectionPrediction
from gaze.vaes.autoencoder_kl import AutoencoderKL


@torch.no_grad()
def gaze_shift(vae: AutoencoderKL, estimator: nn.Module, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b"]:
    """Angles in degrees between what the estimator says of pictures in [0, 1] and of their reconstructions.

    Args:
        estimator: from `DirectionInputs` to `DirectionPrediction`, in eval mode; pictures are brought to its `face_size`.
    """
    drawn = vae.decode(vae.latents(image)).clamp(0, 1)
    return torch.rad2deg(angular_error(_gaze(estimator, image), _gaze(estimator, drawn)))


def _gaze(estimator: Any, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3"]:
    size = getattr(estimator, "face_size", None)
    if size is not None and tuple(size) != tuple(image.shape[-2:]):
        image = F.interpolate(image, tuple(size), mode="bilinear", antialias=True, align_corners=False)
    said: DirectionPrediction = estimator(DirectionInputs(image))
    return said.gaze.float()
