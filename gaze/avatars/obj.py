"""Meshes as Wavefront .obj files, which every 3D viewer opens."""

from __future__ import annotations

import os
from pathlib import Path

from jaxtyping import Float, Int
from torch import Tensor


def save_obj(
    path: str | os.PathLike[str],
    points: Float[Tensor, "v 3"],
    triangles: Int[Tensor, "f 3"],
    colours: Float[Tensor, "v 3"] | None = None,
) -> None:
    """Write a mesh, whole or not at all. Its folder is made.

    Args:
        colours: RGB of vertices, 0 to 1, which most viewers read behind the place of a vertex.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        points.tolist() if colours is None else [a + b for a, b in zip(points.tolist(), colours.tolist(), strict=True)]
    )
    lines = [" ".join(["v", *(f"{number:.5g}" for number in row)]) for row in rows]
    lines += [f"f {a} {b} {c}" for a, b, c in (triangles + 1).tolist()]  # they count from one
    aside = path.with_name(f".writing-{path.name}")
    aside.write_text("\n".join(lines) + "\n")
    os.replace(aside, path)
