"""What decides how a head looks, drawn at random, and a VAE of two layers."""

import torch
from torch import nn

from gaze.types import FaceInputs


def face_inputs(n, identity=5, expression=3, seed=0):
    draws = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(n, *size, generator=draws)

    return FaceInputs(
        0.3 * normal(2),
        normal(identity),
        normal(expression),
        0.2 * normal(6),
        torch.ones(n),
        torch.eye(4).expand(n, 4, 4),
        torch.eye(3).expand(n, 3, 3),
        torch.full((n,), -1),
    )


def drawing(n, features=4, size=16, seed=0):
    """Features and coverage; the first three are RGB, within what a logit keeps."""
    draws = torch.Generator().manual_seed(seed)
    feature = torch.randn(n, features, size, size, generator=draws)
    feature[:, :3] = 0.1 + 0.8 * torch.rand(n, 3, size, size, generator=draws)
    return feature, torch.rand(n, size, size, generator=draws)


class TwoLayerVAE(nn.Module):
    """Whole blocks of pixels to latents and back, each by one layer."""

    def __init__(self, latent_channels=4, factor=2):
        super().__init__()
        self.latent_channels, self.factor = latent_channels, factor
        torch.manual_seed(2)
        self.encoder = nn.Conv2d(3, 2 * latent_channels, factor, factor)
        self.decoder = nn.ConvTranspose2d(latent_channels, 3, factor, factor)
        self.noise = nn.Dropout(0.5)  # a VAE left in training mode is found out

    def encode(self, image):
        return self.encoder(image).chunk(2, 1)

    def decode(self, latent):
        return self.noise(self.decoder(latent)).sigmoid()
