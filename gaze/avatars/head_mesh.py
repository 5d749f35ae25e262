"""The mesh of a head: what a mesh head makes of samples."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class NeutralSurface(NamedTuple):
    """The head without expression and pose, with what networks are told about each of its v vertices."""

    points: Float[Tensor, "v 3"]  # canonical frame
    feature: Float[Tensor, "v c"]  # before its tanh
    triangles: Int[Tensor, "f 3"]


class HeadMesh(NamedTuple):
    """The heads of b samples, all with the vertices and triangles of one neutral mesh."""

    points: Float[Tensor, "b v 3"]  # of the world
    colours: Float[Tensor, "b v c"]  # 0 to 1; the first three are RGB
    triangles: Int[Tensor, "f 3"]
    landmarks: Float[Tensor, "b l 3"]  # moved by the codes; canonical frame
    deformation: Float[Tensor, ""]  # mean square of how far codes and pose move points, as shares of the most they may
    surface_distance: Float[Tensor, ""]  # mean distance of neutral landmarks from the surface
    roughness: Float[Tensor, ""]  # mean square of the uniform Laplacian of the moved vertices, canonical frame
