"""How far an autoencoder moves the gaze in the pictures that it draws again, by an estimator of gaze."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.geometry import angular_error
from gaze.hardware import Hardware
from gaze.head_regions import on_white
from gaze.perceptual.estimators import Estimator
from gaze.types import collate
from gaze.vaes.autoencoder_kl import AutoencoderKL


def gaze_shift_on(
    vae: AutoencoderKL, estimator: Estimator, data: Dataset, rows: Sequence[int], hardware: Hardware, at_once: int = 16
) -> Float[Tensor, "n"]:
    """`gaze_shift` of the heads on white of some samples, on the CPU.

    Args:
        vae: on the device, where the estimator is brought.
        at_once: pictures.
    """
    estimator = estimator.to(hardware.device)
    found = []
    for start in range(0, len(rows), at_once):
        targets = hardware.place(collate([data.seen(row) for row in rows[start : start + at_once]])).targets
        found.append(gaze_shift(vae, estimator, on_white(targets.image, targets.head_mask)).cpu())
    return torch.cat(found)


@torch.no_grad()
def gaze_shift(vae: AutoencoderKL, estimator: Estimator, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b"]:
    """Angles in degrees between what an estimator sees in pictures in [0, 1] and in their reconstructions."""
    drawn = vae.decode(vae.latents(image)).clamp(0, 1)
    return angular_error(estimator.seen(image), estimator.seen(drawn)).rad2deg()
