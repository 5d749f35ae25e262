"""How a picture is made of what a transformer adds to a drawing: as logits, as features, or as latents of a VAE."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.pixel_stages import PixelStages, raw_logit

OPEN = 2.0  # logit that the decoder's share of a pixel starts from


class Painted(NamedTuple):
    """A picture, and the latents that it was decoded from."""

    image: Float[Tensor, "n 3 H W"]
    latent: Float[Tensor, "n z hz wz"] | None = None


class PixelOutput(nn.Module):
    """For pictures as large as the drawing: a residual to the logits of its RGB. A residual of zero changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = 3  # of the residual

    def forward(self, residual: Float[Tensor, "n 3 h w"], drawn: Float[Tensor, "n c h w"]) -> Painted:
        return Painted((raw_logit(drawn) + residual).sigmoid())


class UpsampledOutput(nn.Module):
    """For larger pictures: a residual to the features, of which stages make pixels.

    Args:
        features: channels.
        ratio: of the sizes of picture and features, a power of two.
    """

    def __init__(self, features: int, ratio: int) -> None:
        super().__init__()
        self.channels = features
        self.stages = PixelStages(features, ratio, from_raw=True)

    def forward(self, residual: Float[Tensor, "n c h w"], drawn: Float[Tensor, "n c1 h w"]) -> Painted:
        return Painted(self.stages(drawn[:, : self.channels] + residual))


class LatentOutput(nn.Module):
    """A residual to latents that a convolution makes of the drawing; a VAE, which never learns, decodes their sum.

    Its gradients pass. With `skip`, a gate that the transformer draws mixes the decoder's picture with the drawing's
    RGB, so that what latents are too coarse for, an iris say, is not lost; at the start the decoder has sigmoid(2).

    Args:
        vae: see `gaze.vaes`.
        channels: of the drawing, with its coverage.
        size: height and width of the drawing.
        image_size: of the pictures.
        skip: mix in the drawing.

    Raises:
        ValueError: sizes do not fit.
    """

    def __init__(self, vae: nn.Module, channels: int, size: int, image_size: int, skip: bool) -> None:
        super().__init__()
        known: Any = vae
        self.latent_channels = int(known.latent_channels)
        self.size, rest = divmod(image_size, int(known.factor))
        if rest or not self.size or (size % self.size and self.size % size):
            raise ValueError(
                f"image_size {image_size} of a VAE that compresses {known.factor} times, with features of {size} px; expected "
                "latents of a whole number of cells that divides feature_size or is a multiple of it"
            )
        self.channels, self.image_size = self.latent_channels + skip, image_size
        self.skip = skip
        self.start = nn.Conv2d(channels, self.latent_channels, 3, max(1, size // self.size), 1)
        self.vae = vae.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> LatentOutput:
        """As for any module, but that the VAE stays as it is used."""
        super().train(mode)
        self.vae.eval()
        return self

    def forward(self, residual: Float[Tensor, "n o hz wz"], drawn: Float[Tensor, "n c h w"]) -> Painted:
        start = self.start(drawn).float()
        if start.shape[-1] != self.size:
            start = F.interpolate(start, (self.size, self.size), mode="bilinear")
        latent = start + residual[:, : self.latent_channels]
        vae: Any = self.vae
        image = vae.decode(latent).float()
        if self.skip:
            size = (self.image_size, self.image_size)
            share = (F.interpolate(residual[:, -1:], size, mode="bilinear") + OPEN).sigmoid()
            raw = F.interpolate(drawn[:, :3].float(), size, mode="bilinear").clamp(0, 1)
            image = raw + share * (image - raw)
        return Painted(image, latent)
