"""GazeTR-Hybrid for directions: the transformer that it has for points on screens, over the one map of a CNN."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gaze.fusions.direction_tokens import Fused, check_given
from gaze.fusions.gazetr import GazeTR
from gaze.types import ScreenInputs


class DirectionGazeTR(nn.Module):
    """`gaze.fusions.gazetr.GazeTR` of f3 alone (Cheng & Lu, ICPR 2022).

    Args:
        streams: channels by name; f3 and no other.
        width: of the tokens.
        layers, heads, hidden, dropout: of the transformer.
        cells: of the map.

    Raises:
        ValueError: there is no f3, or another stream beside it.
    """

    streams = ("f3",)

    def __init__(
        self,
        streams: Mapping[str, int],
        width: int = 32,
        layers: int = 6,
        heads: int = 8,
        hidden: int = 512,
        cells: int = 49,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if set(streams) != set(self.streams):
            raise ValueError(
                f"GazeTR looks at the CNN's map (f3) alone, not at {', '.join(streams) or 'nothing'}; choose model=gaze_cnn"
            )
        self.transformer = GazeTR(streams, width, layers, heads, hidden, cells, dropout)
        self.channels = width

    def forward(self, streams: Mapping[str, Tensor]) -> Fused:
        """The summary token. f3 is a map [b c h w]."""
        check_given(streams, self.streams)
        return Fused(self.transformer({"f3": streams["f3"]}, ScreenInputs()))
