"""What a neural renderer makes of a drawing in features."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gaze.types import Record


@dataclass(frozen=True)
class Refined(Record):
    """Pictures, and what the renderer says beside them; see the fields of these names in `gaze.types.FacePrediction`."""

    image: Float[Tensor, "n 3 H W"]  # RGB, about [0, 1]: a decoder is not held to it
    latent: Float[Tensor, "n z hz wz"] | None = None
    factor_cosine: Float[Tensor, ""] | None = None
    factor_overlap: Float[Tensor, ""] | None = None
    factor_collapse: Float[Tensor, ""] | None = None
