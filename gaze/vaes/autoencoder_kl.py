"""The variational autoencoder that gives a renderer a small space to draw in: AutoencoderKL, as Stable Diffusion's.

Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022), sections 3.1 and D; KL-regularised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.tensor_files import differences
from gaze.vaes.coders import Decoder, Encoder
from gaze.vaes.sources import TRAIN, Source, read

MOMENTUM = 0.9  # of the running spread: a batch has ten thousands of latents, and their spread grows in training


class AutoencoderKL(nn.Module):
    """Pictures to latents `factor` times smaller, and back. Names and shapes of its tensors are those of diffusers' files.

    Who uses it sees *scaled* latents, of a spread of about 1. `scaling_factor` is a buffer: a file brings it, or training
    measures it. It is 0 as long as there are no weights but random ones. Then scaled latents mean nothing, and a frozen
    autoencoder is of no use at all. It says so before training begins, or when it is first asked, not when it is built: a
    checkpoint may be about to bring the weights.

    Args:
        widths: channels of each scale, finest first; each next one has half the height and width.
        layers: residual blocks of each scale of the encoder; the decoder has one more.
        latent_channels: z.
        groups: of the norms.
        attention: let every place look at every other at the coarsest scale.
        weights: None for random, or what `gaze.vaes.sources.read` reads. The shape must be said here all the same: a run
            that holds these weights is loaded without their source.
        frozen: its parameters never train; gradients pass through to latents and pictures.
        recompute: spare memory for the decoder's backward pass at the price of time.

    Attributes:
        factor: of the picture's height and width to the latents'.
        arguments: those that decide the shape.

    Raises:
        ValueError: widths and groups don't fit, or the weights don't; later, a picture's size is no multiple of `factor`.
        FileNotFoundError: there are no weights at the path.
        UserError: it never had weights, and is frozen or was asked for something scaled.
    """

    scaling_factor: Tensor

    def __init__(
        self,
        widths: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
        latent_channels: int = 4,
        groups: int = 32,
        attention: bool = True,
        weights: str | None = None,
        frozen: bool = True,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        odd = [width for width in widths if width < 1 or width % groups]
        if not widths or odd or layers < 1 or latent_channels < 1:
            raise ValueError(
                f"vae.widths {[*widths]}, layers {layers}, latent_channels {latent_channels}, groups {groups}: expected "
                "numbers from 1 on, and widths that are multiples of groups"
            )
        shape = (widths, layers, latent_channels, groups, attention)
        self.encoder = Encoder(*shape)
        self.decoder = Decoder(*shape, recompute=recompute)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        self.register_buffer("scaling_factor", torch.zeros(()))
        self.arguments: dict[str, Any] = {
            "widths": [*widths],
            "layers": layers,
            "latent_channels": latent_channels,
            "groups": groups,
            "attention": attention,
        }
        self.latent_channels, self.factor = latent_channels, 2 ** (len(widths) - 1)
        self.frozen, self._known = frozen, False
        self.never_trains = frozen  # so an average of a model's weights needs no copy
        if weights is not None:
            self._take(weights, read(weights))
        if frozen:
            self.requires_grad_(False)

    def encode(self, image: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b z hz wz"], Float[Tensor, "b z hz wz"]]:
        """Mean and log variance of the latents of pictures in [0, 1], not scaled."""
        if self.frozen:
            self.check_known()
        if image.shape[-2] % self.factor or image.shape[-1] % self.factor:
            raise ValueError(
                f"pictures are {image.shape[-2]}x{image.shape[-1]} px; expected multiples of the vae's factor {self.factor}: "
                "set dataset.image_size, or give vae.widths fewer scales"
            )
        mean, log_variance = self.quant_conv(self.encoder(2 * image - 1)).chunk(2, 1)
        return mean, log_variance.clamp(-30, 20)

    def latents(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b z hz wz"]:
        """Scaled latents of pictures in [0, 1]: what `decode` gives the nearest pictures for."""
        self.check_known()
        return self.encode(image)[0] * self.scaling_factor

    def decode(self, latent: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 H W"]:
        """Pictures of scaled latents, about [0, 1]: not clamped, so that a loss has a gradient where they are beyond."""
        self.check_known()
        return self.draw(latent / self.scaling_factor)

    def draw(self, latent: Float[Tensor, "b z hz wz"]) -> Float[Tensor, "b 3 H W"]:
        """Pictures, about [0, 1], of latents that are not scaled."""
        picture: Tensor = self.decoder(self.post_quant_conv(latent))
        return picture / 2 + 0.5

    @torch.no_grad()
    def measure(self, mean: Float[Tensor, "b z hz wz"]) -> None:
        """Move `scaling_factor` towards 1 / the spread of these latents; the first time, set it."""
        now = 1 / mean.float().std().clamp(min=1e-6)
        known = self.scaling_factor > 0
        self.scaling_factor.copy_(torch.where(known, now.lerp(self.scaling_factor, MOMENTUM), now))

    def check_known(self) -> None:
        """See that there are weights, and not only random ones.

        Raises:
            UserError: there are none.
        """
        if self._known:  # what has had weights once keeps them: the device is asked once
            return
        if float(self.scaling_factor) == 0:
            raise UserError(
                f"the vae has no weights but random ones (frozen: {self.frozen}): what it draws would be noise. Set "
                f"vae.weights to the directory of a run made by '{TRAIN}', or to a folder with an AutoencoderKL in the format "
                "of diffusers (vae=diffusers)"
            )
        self._known = True

    def check_ready(self) -> None:
        """See, before the first step of training, that a frozen one has weights.

        Raises:
            UserError: it has none.
        """
        if self.frozen:
            self.check_known()

    def extra_repr(self) -> str:
        return f"factor {self.factor}, {self.latent_channels} latent channels, frozen {self.frozen}"

    def _take(self, weights: str, source: Source) -> None:
        other = [
            f"vae.{key}={source.arguments[key]}" for key, own in self.arguments.items() if source.arguments[key] != own
        ]
        if other:
            now = ", ".join(f"{key} {own}" for key, own in self.arguments.items())
            raise ValueError(
                f"vae.weights: {weights} is an autoencoder of another shape than the config's ({now}); set "
                f"{' '.join(text.replace(' ', '') for text in other)}"
            )
        own = {name: tensor for name, tensor in self.state_dict().items() if name != "scaling_factor"}
        if problems := differences(source.tensors, own):
            raise ValueError(f"vae.weights: {weights} doesn't fit an AutoencoderKL of its own config: {problems}")
        self.load_state_dict({**source.tensors, "scaling_factor": torch.tensor(source.scaling_factor)})
