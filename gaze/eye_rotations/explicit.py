"""Eyes that turn as eyes do: rigidly, each about its own centre, by the gaze that is asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.exact import exact
from gaze.eye_rotations.turned import Turned
from gaze.head_frames import gaze_turn
from gaze.rotations import quaternion_product, quaternion_to_matrix


class ExplicitRotation(nn.Module):
    """x' = c + d + R(q) R_gaze (x - c) about the centre c of each eye: d is a small shift by the codes, q a small turn.

    Both begin with none. The turn q learns what labels are off: the angle between optical and visual axis, and noise. The
    published code learns the whole rotation, about the head's origin (Wei et al., ICCV 2025); turning about the eye's
    centre by the label is what lets gaze go beyond what was trained on.

    Args:
        code: numbers of the codes of expression and identity.
        width: of the hidden layers.
        reach: most shift of a centre, canonical units.
        slack: most of the vector part of q before it is normalised: 0.1 is 12 degrees.
    """

    def __init__(self, code: int = 144, width: int = 128, reach: float = 0.15, slack: float = 0.1) -> None:
        super().__init__()
        self.code, self.reach, self.slack = code, reach, slack
        self.shift = _from_zero(code, width, 6)
        self.residual = _from_zero((3 + 2) * WIDTH, width, 3)

    def forward(
        self,
        points: Float[Tensor, "g 3"],
        side: Int[Tensor, "g"],
        centre: Float[Tensor, "2 3"],
        gaze: Float[Tensor, "b 2"],
        code: Float[Tensor, "b c"],
    ) -> Turned:
        """The points, turned.

        Args:
            points: of both eyes, canonical frame.
            side: 0 for points of the eye on the picture's left, 1 for the other.
            centre: of the eyeballs of the neutral head, left and right in the picture.
            gaze: pitch, yaw, radians; see `FaceInputs`.
            code: expression, then identity.
        """
        shift = self.reach * torch.tanh(self.shift(code).to(points.dtype)).unflatten(1, (2, 3))
        centres = centre + shift
        seen = torch.cat([encoded(centres), repeat(encoded(gaze), "b f -> b e f", e=2)], -1)
        vector = self.slack * torch.tanh(self.residual(seen).to(points.dtype))
        small = F.normalize(torch.cat([torch.ones_like(vector[..., :1]), vector], -1), dim=-1)
        turn = quaternion_product(small, gaze_turn(gaze)[:, None])
        with exact(points):
            moved = torch.einsum("b g i j, g j -> b g i", quaternion_to_matrix(turn)[:, side], points - centre[side])
        return Turned(centres[:, side] + moved, turn[:, side])


def _from_zero(inputs: int, width: int, out: int) -> nn.Sequential:
    last = nn.Linear(width, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.01), nn.Linear(width, width), nn.LeakyReLU(0.01), last
    )
