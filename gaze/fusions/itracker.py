"""How iTracker and its successors read their streams: eyes together, the face, and perhaps a grid of where it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.face_grid import FaceGrid
from gaze.fusions.tokens import EYES, check_cells, given
from gaze.heads.point import perceptron
from gaze.types import ScreenInputs


class ITracker(nn.Module):
    """Perceptrons on both eyes together, on the face and on its grid, side by side.

    Classic iTracker (Krafka et al., CVPR 2016) flattens its maps; its descendants of the ETH-XGaze challenge
    (arXiv 2107.01980) take their means and have no grid, and one of them lets the streams attend to each other first.

    Args:
        channels: of the maps, by stream.
        cells: of a map that is flattened, the same for all streams; None: the mean over the map.
        eyes, face, grid: widths of the layers of each; no widths for the grid, no grid.
        mixing: makes what the vectors of left eye, right eye and face go through first, given their width.
        caffe: weights drawn as in the published Caffe model: spread 0.001 and biases of 1.

    Raises:
        ValueError: a stream is missing, or vectors to be mixed differ in width.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        cells: int | None = None,
        eyes: Sequence[int] = (128,),
        face: Sequence[int] = (128, 128),
        grid: Sequence[int] = (),
        mixing: Callable[..., nn.Module] | None = None,
        caffe: bool = False,
    ) -> None:
        super().__init__()
        self.streams = check_streams(channels)
        widths = [channels[stream] * (cells or 1) for stream in self.streams]
        if mixing is not None and len(set(widths)) > 1:
            raise ValueError(
                f"the trunks give {dict(channels)} channels; expected the same of all to mix their vectors"
            )
        self.cells = cells
        self.mixing = None if mixing is None else mixing(width=widths[0])
        self.eyes = perceptron(widths[0] + widths[1], eyes, nn.ReLU)
        self.face = perceptron(widths[2], face, nn.ReLU)
        self.face_grid = FaceGrid() if grid else None
        self.grid = perceptron(FaceGrid().cells ** 2, grid, nn.ReLU)
        self.channels = eyes[-1] + face[-1] + (grid[-1] if grid else 0)
        if caffe:
            self.apply(_caffe)

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """Eyes, face and grid, one behind the other."""
        vectors = torch.stack([self._vector(features[stream]) for stream in self.streams], 1)
        if self.mixing is not None:
            vectors = self.mixing(vectors)
        found = [self.eyes(vectors[:, :2].flatten(1)), self.face(vectors[:, 2])]
        if self.face_grid is not None:
            found.append(self.grid(self.face_grid(given(inputs, "geometry")).flatten(1)))
        return torch.cat(found, 1)

    def _vector(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        if self.cells is None:
            return pooled(maps)
        check_cells(maps, self.cells, "fusion.cells")
        return maps.flatten(1)


def check_streams(channels: Mapping[str, int]) -> tuple[str, ...]:
    """Left eye, right eye and face, in this order.

    Raises:
        ValueError: there is no trunk for one of them.
    """
    streams = (*EYES, "face")
    if set(channels) != set(streams):
        raise ValueError(f"the fusion looks at both eyes and the face; model.trunks give {', '.join(channels)}")
    return streams


def pooled(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
    """The mean over the map."""
    return maps.mean((-2, -1))


def _caffe(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.001)
        nn.init.ones_(module.bias)
