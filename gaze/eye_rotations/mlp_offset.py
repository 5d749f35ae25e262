"""Eyes that are moved by a network, point by point: what explicit rotation is compared with."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.avatars.point_mlp import PointMLP
from gaze.eye_rotations.turned import Turned


class OffsetField(nn.Module):
    """x' = x + reach tanh(net(x, gaze)), without a turn of the points themselves.

    Args:
        width: of the hidden layers.
        reach: most offset, canonical units.
    """

    def __init__(self, width: int = 128, reach: float = 0.3) -> None:
        super().__init__()
        self.reach = reach
        self.offset = PointMLP(3 * WIDTH, 2 * WIDTH, [width, width], 3, last_zero=True)

    def forward(
        self,
        points: Float[Tensor, "g 3"],
        side: Int[Tensor, "g"],
        centre: Float[Tensor, "2 3"],
        gaze: Float[Tensor, "b 2"],
        code: Float[Tensor, "b c"],
    ) -> Turned:
        """The points, moved; arguments as of `ExplicitRotation`, whose codes, sides and centres are of no use here."""
        moved = points + self.reach * torch.tanh(self.offset(encoded(points)[None], encoded(gaze)))
        still = torch.zeros(*moved.shape[:2], 4, device=points.device, dtype=points.dtype)
        still[..., 0] = 1
        return Turned(moved, still)
