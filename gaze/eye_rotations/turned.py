"""What turning eyes gives."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Turned(NamedTuple):
    """The points of the eyes of b samples, and how each of them was turned."""

    points: Float[Tensor, "b g 3"]
    quaternion: Float[Tensor, "b g 4"]  # w, x, y, z; of unit length
