"""An output head that knows who looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import ScreenInputs, ScreenPrediction


class Personal(nn.Module):
    """Any output head, with a few numbers for each training person beside the features.

    Eyes differ in what no picture shows, such as the angle between their visual and optical axes. SPAZE (Linden et al.,
    ICCV Workshops 2019) learns this with the network: three numbers for each eye of a training person. For somebody
    new they are found from a few looks with all else frozen (gaze/calibration/latent.py), and are put in place of the
    zeros that an unknown person has; training hides some persons, so that the network knows what to do then.

    Args:
        channels: of the features.
        head: makes the output head, given its `channels` and `options`.
        people: rows of the table: at least the data set's training persons.
        size: numbers for each.
        hidden_share: of the training samples, whose person is hidden.
        options: what else the head takes, so that what a model says of its head holds with a person, too.
    """

    unknown: Tensor

    def __init__(
        self,
        channels: int,
        head: Callable[..., nn.Module],
        people: int = 2048,
        size: int = 6,
        hidden_share: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__()
        if people < 1 or size < 1 or not 0 <= hidden_share < 1:
            raise ValueError(
                f"people {people}, size {size}, hidden_share {hidden_share}; expected at least one person and one number, "
                "and a share from 0 to below 1"
            )
        self.latent = nn.Embedding(people, size)
        nn.init.zeros_(self.latent.weight)
        # Of whom no row is about: zeros until somebody is calibrated. No part of checkpoints, which are of nobody.
        self.register_buffer("unknown", torch.zeros(size), persistent=False)
        self.hidden_share = hidden_share
        self.head = head(channels=channels + size, **options)

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        return self.given(features, self.latents(features, inputs), inputs)

    def latents(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> Float[Tensor, "b s"]:
        """The numbers of each sample's person; `unknown` for those without and, while training, the hidden."""
        # Not by the number of samples, which would become that of an exported graph.
        unknown = torch.zeros_like(features[:, :1]) + self.unknown
        if inputs.person is None:
            return unknown
        there = inputs.person >= 0
        if self.training and self.hidden_share:
            there = there & (torch.rand_like(features[:, 0], dtype=torch.float32) >= self.hidden_share)
        return torch.where(there[:, None], self.latent(inputs.person.clamp(min=0)), unknown)

    def given(
        self, features: Float[Tensor, "b c"], latents: Float[Tensor, "b s"], inputs: ScreenInputs
    ) -> ScreenPrediction:
        """What the head says of persons with these numbers."""
        # No cast where autocast made features shorter: it would bake a device into an exported graph.
        return self.head(torch.cat([features, latents], 1), inputs)
