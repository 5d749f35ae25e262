"""The linear adapter that a GazeFormer can be distilled into: frozen embeddings, one linear map, a direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import DirectionInputs, DirectionPrediction


class LinearDirection(nn.Module):
    """A head, which is a linear map, on what CLIP and a small CNN say of a face.

    Beyond the CNN it has some thousand trainable parameters; without one it runs wherever CLIP's embeddings of faces
    are computed anyway.

    Args:
        clip: frozen tower, images to `gaze.clip.tower.Seen`.
        head: makes the output, given `channels`.
        backbone: CNN with `channels`, whose maps are averaged; None: the embedding alone.
    """

    def __init__(self, clip: Any, head: Callable[..., nn.Module], backbone: Any = None) -> None:
        super().__init__()
        self.clip, self.backbone = clip, backbone
        self.channels: int = clip.embed_width + (0 if backbone is None else backbone.channels)
        self.norm = nn.LayerNorm(self.channels)
        self.output = head(channels=self.channels)

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        return self.output(self.norm(self.embed(inputs.face)))

    def embed(self, face: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c"]:
        """What the head's linear map reads, before the norm."""
        embedding = self.clip(face).embed
        if self.backbone is None:
            return embedding
        return torch.cat([embedding, self.backbone(face).mean((-2, -1))], -1)
