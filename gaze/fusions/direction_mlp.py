"""The prototype's baseline: the vectors of a face side by side, and two layers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gaze.fusions.direction_tokens import Fused, built, check_given, switches


class DirectionMLP(nn.Module):
    """f1, f2 and the means of f3 and f4 as one vector, then a linear layer, rectified.

    Args:
        streams: channels by name: f1, f2, f3 and f4, or some of them.
        width: of the vector that the head reads; None: no layer, it reads the one vector itself.
        ablate: by stream, ``keep``, ``zero`` or ``mask`` (the same here: zeros in its place), or ``off``.
    """

    def __init__(
        self, streams: Mapping[str, int], width: int | None = 256, ablate: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.ablate = switches(ablate)
        channels = built(streams, self.ablate)
        total = sum(channels.values())
        self.streams, self.channels = tuple(channels), width or total
        self.layers = nn.Sequential(nn.Linear(total, width), nn.ReLU()) if width else nn.Identity()

    def forward(self, streams: Mapping[str, Tensor]) -> Fused:
        """The vector. f1 and f2 are [b e], f3 is a map [b c h w], f4 are tokens [b n w]."""
        check_given(streams, self.streams)
        parts = [self._vector(stream, streams[stream]) for stream in self.streams]
        return Fused(self.layers(torch.cat(parts, 1)))

    def _vector(self, stream: str, values: Tensor) -> Tensor:
        mean = {"f3": (-2, -1), "f4": (1,)}.get(stream)
        vector = values if mean is None else values.mean(mean)
        return vector if self.ablate[stream] == "keep" else torch.zeros_like(vector)
