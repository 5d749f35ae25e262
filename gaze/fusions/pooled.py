"""What the streams say, side by side: means or cells of their maps, and numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.tokens import EYES, Numbers, check_cells, given, known
from gaze.types import ScreenInputs


class Pooled(nn.Module):
    """One vector for each stream, one behind the other.

    Args:
        channels: of the maps, by stream.
        cells: of a map that is flattened, the same for all streams; None: the mean over the map.
        width: of a layer that follows, one for both eyes and one for the face; None: no such layer.
        boxes: widths of a perceptron on the boxes of face and eyes; none: no boxes.
        corners: rows of the landmarks that are the corners of the eyes; none: no landmarks.
        corner_widths: of the perceptron on these, with batch norms.
        hidden: widths of layers with batch norms over all of it; none: the vectors as they are.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        cells: int | None = None,
        width: int | None = None,
        boxes: Sequence[int] = (),
        corners: Sequence[int] = (),
        corner_widths: Sequence[int] = (128, 16, 16),
        hidden: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.cells = cells
        sizes = {stream: c * (cells or 1) for stream, c in channels.items()}
        self.layers = nn.ModuleDict()
        if width is not None:
            kinds = {"eyes" if stream in EYES else stream: size for stream, size in sizes.items()}
            self.layers.update({kind: nn.Sequential(nn.Linear(size, width), nn.ReLU()) for kind, size in kinds.items()})
            sizes = dict.fromkeys(sizes, width)
        self.boxes = Numbers(12, boxes) if boxes else None
        self.corners = EyeCorners(corners, corner_widths) if corners else None
        joined = sum(sizes.values()) + (boxes[-1] if boxes else 0) + (corner_widths[-1] if corners else 0)
        self.hidden = normed_perceptron(joined, hidden)
        self.channels = [joined, *hidden][-1]

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The vectors of the streams, then boxes, then corners, or what the last layers make of them."""
        found = [self._vector(stream, maps) for stream, maps in features.items()]
        if self.boxes is not None:
            found.append(self.boxes(given(inputs, "geometry")))
        if self.corners is not None:
            found.append(self.corners(given(inputs, "landmarks")))
        return self.hidden(torch.cat(found, 1))

    def _vector(self, stream: str, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        if self.cells is None:
            vector = maps.mean((-2, -1))
        else:
            check_cells(maps, self.cells, "fusion.cells")
            vector = maps.flatten(1)
        kind = "eyes" if stream in EYES else stream
        return self.layers[kind](vector) if kind in self.layers else vector


class EyeCorners(nn.Module):
    """A perceptron with batch norms on where the corners of the eyes are.

    Args:
        rows: of the landmarks.
        widths: of its layers.
    """

    def __init__(self, rows: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.rows = list(rows)
        self.layers = normed_perceptron(2 * len(rows), widths)

    def forward(self, landmarks: Float[Tensor, "b l 2"]) -> Float[Tensor, "b c"]:
        if landmarks.shape[1] <= max(self.rows):
            raise ValueError(
                f"samples of {landmarks.shape[1]} landmarks; expected more than {max(self.rows)}, the last corner of an "
                "eye: set fusion.corners to the rows of the corners"
            )
        places = torch.stack([landmarks[:, row] for row in self.rows], 1).flatten(1)
        return self.layers(known(places)[0])


def normed_perceptron(channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, each with a batch norm and rectified; nothing for no widths."""
    pairs = pairwise([channels, *widths])
    return nn.Sequential(*[nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()) for a, b in pairs])
