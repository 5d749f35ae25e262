"""The tetrahedra about a surface, cut finer and finer, so that the rest of a box costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.avatars.tetrahedra import Tetrahedra, subdivided


class Shell(NamedTuple):
    """Tetrahedra, and the field at their corners, whose surface is where it changes sign."""

    grid: Tetrahedra
    field: Float[Tensor, "v"]


class Crossed(NamedTuple):
    """The tetrahedra that the surface passes through, and nothing else."""

    points: Float[Tensor, "v 3"]
    corners: Int[Tensor, "t 4"]
    field: Float[Tensor, "v"]


def crossed(shell: Shell) -> Crossed:
    """What the surface passes through; points and tetrahedra keep their order."""
    kept = _part(shell, mixed(shell))
    return Crossed(kept.grid.points, kept.grid.corners, kept.field)


def finer(shell: Shell, field_of: Callable[[Tensor], Tensor]) -> Shell:
    """The same surface in tetrahedra of half the size; those that are not about it are left out.

    About it are those that it passes through, and those that share a corner with them: at new corners the field is not the
    mean of the old ones, so the surface moves, and may leave by a neighbour.

    Args:
        field_of: the field at points; it is asked about new corners alone.
    """
    through = mixed(shell)
    touched = torch.zeros_like(shell.field, dtype=torch.bool)
    touched[shell.grid.corners[through].flatten()] = True
    near = _part(shell, touched[shell.grid.corners].any(1))
    known = len(near.field)
    grid = subdivided(near.grid)
    field = torch.cat([near.field, field_of(grid.points[known:])])
    return Shell(grid, field)


def mixed(shell: Shell) -> Bool[Tensor, "t"]:
    """Which tetrahedra have corners of both signs."""
    outside = (shell.field > 0)[shell.grid.corners]
    return outside.any(1) & ~outside.all(1)


def _part(shell: Shell, kept: Bool[Tensor, "t"]) -> Shell:
    """Some of the tetrahedra, with the corners that they have."""
    corners = shell.grid.corners[kept]
    used = torch.zeros_like(shell.field, dtype=torch.bool)
    used[corners.flatten()] = True
    number = used.cumsum(0) - 1
    return Shell(Tetrahedra(shell.grid.points[used], number[corners]), shell.field[used])
