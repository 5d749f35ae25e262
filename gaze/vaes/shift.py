"""How far an autoencoder moves the gaze in the pictures that it draws again, by an estimator of gaze."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.geometry import angular_error
from gaze.perceptual.estimators import Estimator
from gaze.vaes.autoencoder_kl import AutoencoderKL


@torch.no_grad()
def gaze_shift(vae: AutoencoderKL, estimator: Estimator, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b"]:
    """Angles in degrees between what an estimator sees in pictures in [0, 1] and in their reconstructions."""
    drawn = vae.decode(vae.latents(image)).clamp(0, 1)
    return angular_error(estimator.seen(image), estimator.seen(drawn)).rad2deg()
