"""Gaze360's model of time: a recurrent network that reads frames in both directions."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.temporal.window import Window


class BiLSTM(Window):
    """Two layers of LSTM in both directions, read at the centre; the nearest frame stands in for a missing one.

    Args:
        channels: of a frame's vector.
        window: most frames.
        hidden: of each direction.
        layers: of the network.
    """

    def __init__(self, channels: int, window: int = 7, hidden: int = 256, layers: int = 2) -> None:
        super().__init__(channels, window)
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def residual(self, frames: Float[Tensor, "b t D"], present: Bool[Tensor, "b t"], read: int) -> Float[Tensor, "b D"]:
        return self.out(self.lstm(frames)[0][:, read])
