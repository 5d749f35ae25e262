"""A KL autoencoder that learns: a picture is encoded, a latent drawn, and the picture drawn from it."""

from __future__ import annotations

import torch
from torch import nn

from gaze.types import FacePrediction, PictureInputs
from gaze.vaes.autoencoder_kl import AutoencoderKL


class Autoencoder(nn.Module):
    """Pictures by way of latents: a random one in training (Kingma and Welling 2014, 2.4), the mean otherwise.

    In training it also measures the spread of latents, from which `vae.scaling_factor` follows.

    Args:
        vae: what is trained, not frozen.

    Raises:
        ValueError: it is frozen.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        if vae.frozen:
            raise ValueError("model.vae is frozen and this model trains nothing else; expected vae.frozen=false")
        self.vae = vae

    def forward(self, inputs: PictureInputs) -> FacePrediction:
        mean, log_variance = self.vae.encode(inputs.image)
        latent = mean
        if self.training:
            self.vae.measure(mean)
            latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return FacePrediction(self.vae.draw(latent), mean=mean, log_variance=log_variance)
