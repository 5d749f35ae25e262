"""GazeGaussian's own neural renderer, which the codes of person and expression guide by attention."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.factors import Factors
from gaze.heads.pixel_stages import PixelStages
from gaze.heads.refined import Refined
from gaze.types import FaceInputs


class UNetRenderer(nn.Module):
    """The "expression-guided neural renderer" of GazeGaussian (Wei et al., ICCV 2025), exact but cheaper.

    Despite its name it has no encoder. What differs from the published code: the head's coverage is a further channel; a
    background map is left out, which nothing read; attention to pixels is rewritten (`gaze.heads.code_attention`); and,
    so that orthogonality has factors to tell apart, embeddings of them scale and shift the features, beginning with what
    changes nothing.

    Args:
        features: channels; the first three are RGB.
        feature_size: height and width of the features.
        image_size: height and width of the pictures, a power of two times those of the features, or the same.
        identity, expression: widths of these codes.
        embedding: width of each factor's embedding; None: as published, features know nothing of gaze and pose.
        from_raw: begin as the RGB of the features, made larger; as published, from nothing.
        vae: refused, so that nobody takes a run for one that draws latents.

    Raises:
        ValueError: sizes do not fit, or there is a VAE.
    """

    def __init__(
        self,
        features: int,
        feature_size: int,
        image_size: int,
        identity: int = 80,
        expression: int = 64,
        embedding: int | None = 128,
        from_raw: bool = False,
        vae: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if vae is not None:
            raise ValueError(
                f"head.vae is set ({type(vae).__name__}), and this renderer draws pixels, no latents; choose "
                "head=renderer_dit, or leave vae out"
            )
        if image_size % feature_size:
            raise ValueError(
                f"head.image_size is {image_size}; expected a power of two times feature_size, {feature_size}"
            )
        self.blend = nn.Conv2d(features + 1, features, 1)
        nn.init.dirac_(self.blend.weight)
        nn.init.zeros_(self.blend.bias)  # type: ignore[arg-type]
        self.factors = None if embedding is None else Factors(identity, expression, embedding, embedding)
        if embedding is not None:
            self.film = nn.Linear(embedding, 2 * features)
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)
        self.stages = PixelStages(features, image_size // feature_size, identity + expression, from_raw)
        self.facts = {"Renderer": "U-Net Neural Renderer", "Stages": f"{len(self.stages.stages)}", "VAE": "Disabled"}

    def forward(
        self,
        feature: Float[Tensor, "n c h w"],
        alpha: Float[Tensor, "n h w"],
        inputs: FaceInputs,
        samples: int | None = None,
    ) -> Refined:
        """Pictures of drawings in features, with how much of a pixel is covered.

        Args:
            samples: how many of the first rows are heads of their own; see `gaze.heads.factors`.
        """
        feature = self.blend(torch.cat([feature, alpha[:, None]], 1))
        factored = None if self.factors is None else self.factors(inputs, samples)
        if factored is not None:
            scale, shift = self.film(factored.condition)[:, :, None, None].chunk(2, 1)
            feature = feature * (1 + scale) + shift
        image = self.stages(feature, torch.cat([inputs.expression, inputs.identity], 1))
        if factored is None:
            return Refined(image)
        return Refined(image, None, factored.cosine, factored.overlap, factored.collapse)
