"""A box cut into tetrahedra, and the surface where a field on its corners changes sign, with gradients to the field."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

LOW, HIGH = (-1.6, -1.7, -2.5), (1.6, 1.8, 1.0)  # the box of a head, canonical units
TINY = 1e-8  # of the difference that an edge's two values are divided by
EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # of a tetrahedron
# Which edges' crossings make triangles, by the sum of 2^k over the corners k outside (field > 0). They run against the
# clock seen from outside, where det(p1 - p0, p2 - p0, p3 - p0) > 0.
TRIANGLES: tuple[tuple[tuple[int, int, int], ...], ...] = (
    (),
    ((0, 2, 1),),
    ((0, 3, 4),),
    ((1, 3, 4), (1, 4, 2)),
    ((1, 5, 3),),
    ((3, 0, 2), (3, 2, 5)),
    ((0, 1, 5), (0, 5, 4)),
    ((2, 5, 4),),
    ((2, 4, 5),),
    ((0, 4, 5), (0, 5, 1)),
    ((2, 0, 3), (2, 3, 5)),
    ((1, 3, 5),),
    ((1, 2, 4), (1, 4, 3)),
    ((0, 4, 3),),
    ((0, 1, 2),),
    (),
)
# Eight parts of a tetrahedron, of its corners 0 to 3 and the middles 4 to 9 of its edges; all of the same orientation.
CHILDREN = (
    (0, 4, 5, 6),
    (4, 1, 7, 8),
    (5, 7, 2, 9),
    (6, 8, 9, 3),
    (4, 5, 6, 8),
    (4, 7, 5, 8),
    (5, 6, 8, 9),
    (5, 8, 7, 9),
)


class Tetrahedra(NamedTuple):
    """Corners, and which four of them make each tetrahedron; all have a positive volume."""

    points: Float[Tensor, "v 3"]
    corners: Int[Tensor, "t 4"]


class Surface(NamedTuple):
    """A mesh, closed if it does not touch the border of the box; its triangles run against the clock seen from outside."""

    points: Float[Tensor, "v 3"]
    feature: Float[Tensor, "v c"]
    triangles: Int[Tensor, "f 3"]


def tetrahedra(resolution: int, low: Sequence[float] = LOW, high: Sequence[float] = HIGH) -> Tetrahedra:
    """A box of resolution^3 cells, each cut into six tetrahedra along its main diagonal (Kuhn).

    Raises:
        ValueError: there is no cell, or the box is empty.
    """
    if resolution < 1 or any(a >= b for a, b in zip(low, high, strict=True)):
        raise ValueError(
            f"a box from {list(low)} to {list(high)} in {resolution} cells a side has no tetrahedron; expected 1 cell or "
            "more, and every lower limit below the upper one"
        )
    side = resolution + 1
    axes = [torch.linspace(a, b, side) for a, b in zip(low, high, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 2)
    number = torch.arange(side**3).reshape(side, side, side)
    step = (side * side, side, 1)  # from a corner to the next along each axis
    paths = []
    for a, b, c in permutations(range(3)):
        path = [0, step[a], step[a] + step[b], step[a] + step[b] + step[c]]
        odd = (b - a) % 3 != 1
        paths.append([path[0], path[1], path[3], path[2]] if odd else path)
    first = number[:-1, :-1, :-1].flatten()
    return Tetrahedra(points, (first[:, None, None] + torch.tensor(paths)).flatten(0, 1))


def subdivided(grid: Tetrahedra) -> Tetrahedra:
    """Each tetrahedron in eight, by the middles of its edges, which those that share an edge share."""
    pairs, middle = torch.unique(_edge_keys(grid.corners, len(grid.points)), return_inverse=True)
    a, b = _ends(pairs, len(grid.points))
    corners = torch.cat([grid.corners, len(grid.points) + middle], 1)
    children = torch.tensor(CHILDREN, device=corners.device)
    points = torch.cat([grid.points, (grid.points[a] + grid.points[b]) / 2])
    return Tetrahedra(points, corners[:, children].flatten(0, 1))


def marched(
    points: Float[Tensor, "v 3"],
    field: Float[Tensor, "v"],
    feature: Float[Tensor, "v c"],
    corners: Int[Tensor, "t 4"],
) -> Surface:
    """The surface where a field is zero, by marching tetrahedra (Doi and Koide 1991).

    Args:
        points: corners of tetrahedra of positive volume, or moved less than would turn one inside out.
        field: positive outside.
        feature: numbers that are interpolated along edges as places are.
        corners: four points of each tetrahedron.
    """
    outside = field > 0
    kind = (outside[corners] * corners.new_tensor([1, 2, 4, 8])).sum(1)
    mixed = torch.nonzero((kind > 0) & (kind < 15))[:, 0]
    corners, kind = corners[mixed], kind[mixed]
    keys = _edge_keys(corners, len(points))
    ends = outside[corners][:, torch.tensor(EDGES, device=corners.device)]
    crossed = ends[..., 0] != ends[..., 1]
    pairs, found = torch.unique(keys[crossed], return_inverse=True)
    vertex = torch.zeros_like(keys)
    vertex[crossed] = found
    a, b = _ends(pairs, len(points))
    share = _share(field[a], field[b])[:, None]
    return Surface(
        points[a] + (points[b] - points[a]) * share,
        feature[a] + (feature[b] - feature[a]) * share,
        _triangles(vertex, kind),
    )


def _share(a: Tensor, b: Tensor) -> Tensor:
    """How far along an edge the field is zero; its values at the ends have opposite signs."""
    apart = a - b
    return a / torch.where(apart >= 0, apart.clamp(min=TINY), apart.clamp(max=-TINY))


def _triangles(vertex: Tensor, kind: Tensor) -> Tensor:
    """Triangles of tetrahedra whose edges cross the surface at these vertices."""
    table = torch.full((16, 2, 3), -1)
    for i, row in enumerate(TRIANGLES):
        for j, triangle in enumerate(row):
            table[i, j] = torch.tensor(triangle)
    edges = table.to(kind.device)[kind]
    there = edges[..., 0] >= 0
    rows = torch.nonzero(there)[:, :1]
    return vertex[rows, edges[there]]


def _edge_keys(corners: Tensor, points: int) -> Tensor:
    """One number for each edge of each tetrahedron, the same for all that share it."""
    ends = corners[:, torch.tensor(EDGES, device=corners.device)]
    return ends.amin(-1) * points + ends.amax(-1)


def _ends(keys: Tensor, points: int) -> tuple[Tensor, Tensor]:
    return torch.div(keys, points, rounding_mode="floor"), keys % points
