"""Eyes as GazeGaussian's released code turns them: about the head's origin, by a rotation that is learned as a whole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.exact import exact
from gaze.eye_rotations.turned import Turned
from gaze.rotations import quaternion_to_matrix


class LearnedOriginRotation(nn.Module):
    """x' = R(q) x for each eye, q = net(mean of its points, gaze), after Wei et al., ICCV 2025.

    The released code turns both eyes by the mask of the first; here each has its own.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        first, second, last = nn.Linear((3 + 2) * WIDTH, width), nn.Linear(width, width), nn.Linear(width, 4)
        nn.init.normal_(last.weight, std=1e-3)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))  # no turn: a random one hides the eyes in the head
        self.turn = nn.Sequential(first, nn.LeakyReLU(0.01), second, nn.LeakyReLU(0.01), last)

    def forward(
        self,
        points: Float[Tensor, "g 3"],
        side: Int[Tensor, "g"],
        centre: Float[Tensor, "2 3"],
        gaze: Float[Tensor, "b 2"],
        code: Float[Tensor, "b c"],
    ) -> Turned:
        """The points, turned; arguments as of `ExplicitRotation`, whose codes and centres are of no use here."""
        mine = F.one_hot(side, 2).to(points).T
        with exact(points):
            # An eye without points has no NaN to pass on
            means = mine @ points / mine.sum(1, keepdim=True).clamp(min=1)
        seen = torch.cat(
            [repeat(encoded(means), "e f -> b e f", b=len(gaze)), repeat(encoded(gaze), "b f -> b e f", e=2)], -1
        )
        turn = F.normalize(self.turn(seen).to(points.dtype), dim=-1)
        with exact(points):
            moved = torch.einsum("b g i j, g j -> b g i", quaternion_to_matrix(turn)[:, side], points)
        return Turned(moved, turn[:, side])
