"""iTracker's channel attention: the face decides which channels of an eye listen to which."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.itracker import check_streams, pooled
from gaze.types import ScreenInputs


class ChannelAttention(nn.Module):
    """For each eye the outer product of a query from the face and a key from the eye, as attention among channels.

    The scores are divided by their width, not by its root, and there is no residual (`ITrackerAttention` of
    arXiv 2107.01980). Its matrices of inner x inner for each sample are costly: an ablation, not a recommendation.

    Args:
        channels: of the maps, by stream.
        inner: width of query, key and value.
    """

    def __init__(self, channels: Mapping[str, int], inner: int = 1024) -> None:
        super().__init__()
        self.left, self.right, self.face = check_streams(channels)
        self.attend = nn.ModuleDict(
            {eye: _FaceToEye(channels[self.face], channels[eye], inner) for eye in (self.left, self.right)}
        )
        self.channels = channels[self.left] + channels[self.right]

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The left eye and the right, each as the face lets it be seen."""
        face = pooled(features[self.face])
        return torch.cat([attend(face, pooled(features[eye])) for eye, attend in self.attend.items()], 1)


class _FaceToEye(nn.Module):
    def __init__(self, face: int, eye: int, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(face, inner), nn.Linear(eye, inner), nn.Linear(eye, inner)
        self.out = nn.Linear(inner, eye)

    def forward(self, face: Float[Tensor, "b f"], eye: Float[Tensor, "b e"]) -> Float[Tensor, "b e"]:
        weights = self.weights(face, eye)
        return self.out((weights @ self.value(eye)[:, :, None])[:, :, 0])

    def weights(self, face: Float[Tensor, "b f"], eye: Float[Tensor, "b e"]) -> Float[Tensor, "b d d"]:
        query, key = self.query(face), self.key(eye)
        return (query[:, :, None] * key[:, None, :] / key.shape[-1]).softmax(-1)
