"""Where in the frame the face is, as GazeCapture's grid of cells."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FaceGrid(nn.Module):
    """A map of the frame that is 1 in the cells under the face and 0 elsewhere.

    Corner and sides are rounded to cells, halves away from zero, as GazeCapture's MATLAB does, and both ends are
    then moved into the frame: a face that leaves it keeps at least the cells of its border. Cells count from 0;
    GazeCapture's files count from 1, which its own PyTorch code overlooks, so that its grids are shifted by one.
    A face whose box is not known (NaN) has an empty grid, as GazeCapture's invalid ones do.

    Args:
        cells: along each side of the frame.
    """

    cell: Tensor
    one: Tensor

    def __init__(self, cells: int = 25) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("cell", torch.arange(cells).float(), persistent=False)
        self.register_buffer("one", torch.ones(1), persistent=False)

    def forward(self, geometry: Float[Tensor, "b g"]) -> Float[Tensor, "b y x"]:
        """The grids of the first box of each row, (x, y, w, h) as fractions of the upright frame."""
        x, y, w, h = geometry[:, :4].unbind(-1)
        return self._inside(y, h)[:, :, None] * self._inside(x, w)[:, None, :]

    def _inside(self, start: Float[Tensor, "b"], length: Float[Tensor, "b"]) -> Float[Tensor, "b k"]:
        first, count = _round(start * self.cells), _round(length * self.cells)
        low, high = (edge.clamp(0, self.cells - 1)[:, None] for edge in (first, first + count - 1))
        # With NaN neither holds. A cast in place of the product would bake a device into an exported graph.
        return ((self.cell >= low) & (self.cell <= high)) * self.one


def _round(value: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """To the nearest whole number, halves away from zero."""
    return value.sign() * (value.abs() + 0.5).floor()
