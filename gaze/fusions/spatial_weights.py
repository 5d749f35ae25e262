"""Full-face gaze: cells of a map weighted by where they are and what they show."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.tokens import check_cells
from gaze.types import ScreenInputs


class SpatialWeights(nn.Module):
    """One learned weight for each cell, multiplied into all channels (Zhang et al., CVPRW 2017).

    Args:
        channels: of the one map, by stream.
        cells: of the map, which is flattened.

    Raises:
        ValueError: there are several streams.
    """

    def __init__(self, channels: Mapping[str, int], cells: int = 169) -> None:
        super().__init__()
        if len(channels) != 1:
            raise ValueError(
                f"spatial weights are for one stream, not for {', '.join(channels)}; choose one in model.trunks"
            )
        ((self.stream, depth),) = channels.items()
        self.cells = cells
        convolutions = [nn.Conv2d(depth, depth, 1), nn.Conv2d(depth, depth, 1), nn.Conv2d(depth, 1, 1)]
        # As published: weights start around 1, so that at first every cell counts
        for convolution, spread, bias in zip(convolutions, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0), strict=True):
            nn.init.normal_(convolution.weight, std=spread)
            nn.init.constant_(convolution.bias, bias)  # type: ignore[arg-type]
        self.weight = nn.Sequential(*[layer for convolution in convolutions for layer in (convolution, nn.ReLU())])
        self.channels = depth * cells

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The weighted cells, channel by channel."""
        maps = features[self.stream]
        check_cells(maps, self.cells, "fusion.cells")
        return (maps * self.weight(maps)).flatten(1)
