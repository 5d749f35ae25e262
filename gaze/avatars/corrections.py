"""What a model learns about each training sample alone: how far the codes and the pose it was given are off."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.avatars.codes import check_widths
from gaze.types import FaceInputs


class Offsets(NamedTuple):
    """Of b samples; zero for those that were not trained on."""

    identity: Float[Tensor, "b i"]
    expression: Float[Tensor, "b e"]
    camera: Float[Tensor, "b 6"]


class Corrections(nn.Module):
    """Tables of offsets to identity, expression and pose, a row for each training sample, zero at the start.

    Args:
        rows: of the tables: as many as the training split has samples, or more.
        identity, expression: widths of the codes, those of the backbone.

    Raises:
        ValueError: there are no rows.
    """

    def __init__(self, rows: int, identity: int = 80, expression: int = 64) -> None:
        super().__init__()
        if rows < 1:
            raise ValueError(f"rows is {rows}; expected the number of training samples, or more")
        self.rows = rows
        self.identity = _zeros(rows, identity)
        self.expression = _zeros(rows, expression)
        self.camera = _zeros(rows, 6)

    def offsets(self, sample: Int[Tensor, "b"]) -> Offsets:
        """The rows of samples; zeros where the number is -1."""
        known = (sample >= 0)[:, None]
        row = sample.clamp(min=0)
        return Offsets(self.identity(row) * known, self.expression(row) * known, self.camera(row) * known)

    def forward(self, inputs: FaceInputs) -> tuple[FaceInputs, Offsets]:
        """The inputs, corrected, and by how much.

        Raises:
            ValueError: codes are of other widths.
        """
        check_widths(inputs, self.identity.embedding_dim, self.expression.embedding_dim)
        offsets = self.offsets(inputs.sample)
        return (
            replace(
                inputs,
                identity=inputs.identity + offsets.identity,
                expression=inputs.expression + offsets.expression,
                pose=inputs.pose + offsets.camera,
            ),
            offsets,
        )


def _zeros(rows: int, width: int) -> nn.Embedding:
    table = nn.Embedding(rows, width)
    nn.init.zeros_(table.weight)
    return table


def row_problem(rows: int, samples: int) -> str | None:
    """What is wrong with tables of so many rows for so many training samples, if anything."""
    if samples <= rows:
        return None
    return (
        f"model.corrections.rows is {rows}, but the training split has {samples} samples, each with corrections of its own; "
        f"expected at least {samples}: set model.corrections.rows={samples}"
    )
