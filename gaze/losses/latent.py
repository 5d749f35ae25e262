"""Drawing in the space of an autoencoder: how far latents are from those of the photograph."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.head_regions import on_white
from gaze.losses.loss import Loss
from gaze.recall import Recall, fingerprints
from gaze.schedules import Schedule
from gaze.types import Batch, FacePrediction, FaceTargets, Progress
from gaze.vaes.autoencoder_kl import AutoencoderKL


class LatentL1(Loss):
    """Mean distance between the scaled latents of the prediction and those of the photograph, white where no head is.

    The encoder is frozen and without gradient. What it says of a photograph is remembered in float16 and found by its
    pixels, since photographs come back in every epoch.

    Args:
        vae: that the model draws with; with weights.
        gigabytes: most memory for latents; 0: encode each time. 4x64x64 of them are 32 kB a picture.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: there is no vae; later, the model draws no latents, or of another size.
        UserError: the vae has no weights.
    """

    def __init__(self, vae: AutoencoderKL | None, gigabytes: float = 1.0, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        if vae is None:
            raise ValueError("loss.latent_l1 has no vae to encode photographs; choose vae=tiny or vae=diffusers")
        vae.check_known()
        self.vae = vae.requires_grad_(False).eval()
        self.recall = Recall(gigabytes, "the encoder of latent_l1") if gigabytes else None

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        if prediction.latent is None:
            raise ValueError("loss.latent_l1: the model draws no latents; choose a renderer with a vae, or take it out")
        wanted = self._wanted(batch.targets).to(prediction.latent.device, torch.float32)
        if wanted.shape != prediction.latent.shape:
            raise ValueError(
                f"loss.latent_l1: the model draws latents of {tuple(prediction.latent.shape[1:])}, and the vae of the loss "
                f"encodes photographs as {tuple(wanted.shape[1:])}; give both the same vae and image_size"
            )
        return (prediction.latent - wanted).abs().mean()

    def _wanted(self, targets: FaceTargets) -> Float[Tensor, "b z hz wz"]:
        image = on_white(targets.image, targets.head_mask)
        if self.recall is None:
            return self._encode(image)
        return self.recall(fingerprints(image), lambda rows: self._encode(image[rows.to(image.device)]))

    @torch.no_grad()
    def _encode(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b z hz wz"]:
        return self.vae.latents(image)
