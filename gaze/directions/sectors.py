"""Which prompt of a gaze bank speaks of a direction: the one whose own direction in the picture is nearest."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.losses.direction_text import CENTRE_DEG

AXIS_DEG = 1.0  # nearer to the camera's axis a gaze has no direction in the picture


def true_sectors(gaze: Float[Tensor, "n 3"], angle: Float[Tensor, "g"]) -> Float[Tensor, "n"]:
    """The number of the right prompt for each gaze; NaN where none is: straight into the camera, or away from it.

    Args:
        angle: of the prompts in the picture's plane, x right and y up, radians; NaN is for who looks into the camera.
    """
    x, y, z = gaze.unbind(-1)
    sine = torch.hypot(x, y)
    nearness = (torch.atan2(-y, x)[:, None] - angle.to(gaze)).cos().nan_to_num(-2.0)
    found = nearness.argmax(-1).to(gaze.dtype)
    found = torch.where((sine < math.sin(math.radians(AXIS_DEG))) | (nearness.amax(-1) < -1), torch.nan, found)
    central = angle.isnan().nonzero()[:, 0]
    if len(central):
        into = (sine < math.sin(math.radians(CENTRE_DEG))) & (z < 0)
        found = torch.where(into, central[0].to(found), found)
    return found.masked_fill(gaze.isnan().any(-1), torch.nan)


def sectors(
    gaze: Float[Tensor, "n 3"], logits: Float[Tensor, "n g"], angle: Float[Tensor, "g"]
) -> Float[Tensor, "n 2"]:
    """The numbers of the prompt with the highest logit and of the right one; both NaN where none is right.

    Prompts of several banks with one direction count as the first of them.
    """
    angle = angle.to(gaze)
    alike = ((angle[:, None] - angle).cos() > 1 - 1e-6) | (angle.isnan()[:, None] & angle.isnan())
    first = alike.int().argmax(-1).to(gaze.dtype)
    true = true_sectors(gaze, angle)
    chosen = first[logits.argmax(-1)].masked_fill(logits.isnan().any(-1), torch.nan)
    return torch.stack([torch.where(true.isnan(), torch.nan, chosen), true], -1)
