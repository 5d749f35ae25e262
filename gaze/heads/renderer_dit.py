"""A transformer that refines what Gaussians draw, conditioned on person, expression, pose and gaze."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.dit_block import DiTBlock, Modulation, modulated
from gaze.heads.dit_outputs import LatentOutput, PixelOutput, UpsampledOutput
from gaze.heads.factors import FACTORS, Factors
from gaze.heads.refined import Refined
from gaze.positions import sinusoid_2d
from gaze.types import FaceInputs


class DiTRenderer(nn.Module):
    """A diffusion transformer's layers (DiT; Peebles and Xie, ICCV 2023) as a renderer of one pass, without noise.

    Patches of the drawing, features and coverage, are tokens with fixed positions. Embeddings of the four factors make
    the condition that modulates each layer. All modulation and the last layer start at zero, so that at first the
    picture is what the drawing gives alone. What the last layer adds to, see `gaze.heads.dit_outputs`: latents if
    there is a VAE, logits of RGB if pictures are as large as the features, and else the features.

    Args:
        features: channels; the first three are RGB.
        feature_size: height and width of the features.
        image_size: height and width of the pictures.
        identity, expression: widths of these codes.
        depth: layers.
        heads: of their attention.
        patch: height and width of what becomes a token, in cells of the features.
        width: of the tokens; a multiple of 4 and of `heads`.
        mlp_ratio: of the perceptrons' width to it.
        embedding: width of each factor's embedding.
        factor_tokens: let the pixels' tokens also attend to the four embeddings.
        vae: whose decoder makes the picture; it is frozen here. None: pixels are made directly.
        skip: mix its picture with the drawing's own RGB.

    Raises:
        ValueError: sizes do not fit, or heads do not divide the width.
    """

    position: Tensor

    def __init__(
        self,
        features: int,
        feature_size: int,
        image_size: int,
        identity: int = 80,
        expression: int = 64,
        depth: int = 6,
        heads: int = 8,
        patch: int = 8,
        width: int = 512,
        mlp_ratio: float = 4.0,
        embedding: int = 128,
        factor_tokens: bool = False,
        vae: nn.Module | None = None,
        skip: bool = True,
    ) -> None:
        super().__init__()
        if feature_size % patch:
            raise ValueError(f"head.patch is {patch}; expected a number that divides feature_size, {feature_size}")
        if image_size % feature_size:
            raise ValueError(f"head.image_size is {image_size}; expected a multiple of feature_size, {feature_size}")
        self.grid = feature_size // patch
        self.output: Any
        if vae is not None:
            self.output = LatentOutput(vae, features + 1, feature_size, image_size, skip)
        elif image_size == feature_size:
            self.output = PixelOutput()
        else:
            self.output = UpsampledOutput(features, image_size // feature_size)
        cells = feature_size if vae is None else self.output.size
        if cells % self.grid:
            raise ValueError(
                f"{self.grid} tokens on a side for {cells} latents; expected a number of tokens that divides them: "
                f"raise head.patch ({patch}) or take a VAE that compresses less"
            )
        self.cell = cells // self.grid
        self.patches = nn.Conv2d(features + 1, width, patch, patch)
        self.register_buffer("position", sinusoid_2d(width, (self.grid, self.grid)).flatten(1).T, persistent=False)
        self.factors = Factors(identity, expression, width, embedding)
        self.tokens = nn.Linear(embedding, width) if factor_tokens else None
        self.name = nn.Parameter(0.02 * torch.randn(FACTORS, width)) if factor_tokens else None
        self.blocks = nn.ModuleList(DiTBlock(width, heads, mlp_ratio) for _ in range(depth))
        self.modulation = Modulation(width, 2)
        self.last = nn.Linear(width, self.output.channels * self.cell**2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        frozen = "Disabled" if vae is None else f"Enabled (z_channels={self.output.latent_channels}, frozen=True)"
        self.facts = {
            "Renderer": "DiT Neural Renderer",
            "Depth": f"{depth}",
            "Num Heads": f"{heads}",
            "Patch Size": f"{patch}",
            "VAE": frozen,
        }

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
        drawn = torch.cat([feature, alpha[:, None]], 1)
        factored = self.factors(inputs, samples)
        tokens = rearrange(self.patches(drawn), "n d h w -> n (h w) d") + self.position
        if self.tokens is not None:
            tokens = torch.cat([self.tokens(factored.embedding) + self.name, tokens], 1)
        for block in self.blocks:
            tokens = block(tokens, factored.condition)
        tokens = modulated(tokens[:, -(self.grid**2) :], *self.modulation(factored.condition))
        residual = rearrange(
            self.last(tokens), "n (h w) (c y x) -> n c (h y) (w x)", h=self.grid, y=self.cell, x=self.cell
        )
        painted = self.output(residual.float(), drawn)
        return Refined(painted.image, painted.latent, factored.cosine, factored.overlap, factored.collapse)
