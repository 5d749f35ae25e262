"""How far stored crops reach beyond their boxes, so that a box can still be moved, scaled and turned in its crop.

A margin is a fraction of a box's sides, the same on all four; rows tell the boxes, and a file's header the margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gaze.errors import UserError
from gaze.recordings.sample import Box
from gaze.recordings.schema import REMEDY, Header
from gaze.stores.places import Place

LARGEST = 1.0  # a crop is then three boxes wide


def outer(box: Box, margin: float) -> Box:
    """What a crop shows that is stored for a box."""
    x, y, w, h = box
    return x - margin * w, y - margin * h, w * (1 + 2 * margin), h * (1 + 2 * margin)


def inner(box: Box, margin: float) -> Box:
    """The box of which this one is the `outer`."""
    x, y, w, h = box
    w, h = w / (1 + 2 * margin), h / (1 + 2 * margin)
    return x + margin * w, y + margin * h, w, h


def stored_side(side: int, margin: float, block: int = 1) -> int:
    """Of a crop in whose middle a box has at least `side` px, px; a multiple of `block` if there is a margin."""
    return side if margin == 0 else block * math.ceil(round(side * (1 + 2 * margin) / block, 6))


def one_margin(headers: Mapping[Place, Header]) -> float:
    """The margin of all crops of a table, whose files must agree; 0 where they don't say.

    Args:
        headers: of all files.

    Raises:
        UserError: they say different things, or something that is no margin.
    """
    first, margin = next(iter(headers)), 0.0
    for file, told in headers.items():
        said = told.crop.get("margin", 0.0)
        if not (isinstance(said, int | float) and 0 <= said <= LARGEST):
            raise UserError(f"{file}: its crops reach {said!r} of a box beyond it; expected 0 to {LARGEST:g}; {REMEDY}")
        if file == first:
            margin = float(said)
        elif said != margin:
            raise UserError(
                f"{file}: its crops reach {said:g} of a box beyond it, and those of {first.name} {margin:g}; expected one "
                f"margin in all files of a table, as they are read alike; {REMEDY}"
            )
    return margin
