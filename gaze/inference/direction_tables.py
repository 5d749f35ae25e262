"""Tables of gaze directions on a video: a row for each person and frame, alone or beside the columns of a scene model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gaze.inference.tables import PERSON, SCENE, person_cells, scene_cells
from gaze.inference.video import Columns

# A unit vector in the camera's frame (x right, y down, z into the scene) and its angles; empty where no face was found.
AXES = ("x", "y", "z")
DIRECTION = tuple(
    (name, pa.float64())
    for name in (
        *(f"direction_{axis}" for axis in AXES),
        *("pitch_deg", "yaw_deg"),  # up and to the picture's left are positive
        *("sight_pitch_deg", "sight_yaw_deg"),  # of the line of sight: 0, 0 looks into the camera
        *(f"direction_{axis}_smooth" for axis in AXES),
        *("pitch_smooth_deg", "yaw_smooth_deg"),
        *("concentration", "cone_deg", "mirror_deg"),
    )
)
AGREEMENT = ("agreement_deg", pa.float64())


def direction_cells(person: Mapping[str, Any]) -> list[Any]:
    """The columns of `DIRECTION`."""
    said = person["direction"]
    if said is None:
        return [None] * len(DIRECTION)
    smooth = [*said.get("gaze_smooth", [None] * 3), *said.get("pitch_yaw_smooth_deg", [None] * 2)]
    raw = [*said["gaze"], *said["pitch_yaw_deg"], *said["sight_pitch_yaw_deg"]]
    return [*raw, *smooth, said["concentration"], said["cone_deg"], said["mirror_deg"]]


def direction_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one frame: a record of results.json, flat."""
    rows = [[*person_cells(record, person), *direction_cells(person)] for person in record["people"]]
    return [dict(zip(DIRECTIONS.schema.names, row, strict=True)) for row in rows]


def rows_of_both(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same with where in the picture people look, and how well both agree."""
    rows = [
        [*person_cells(record, person), *scene_cells(person), *direction_cells(person), person["agreement_deg"]]
        for person in record["people"]
    ]
    return [dict(zip(BOTH.schema.names, row, strict=True)) for row in rows]


DIRECTIONS = Columns(pa.schema([*PERSON, *DIRECTION]), direction_rows)
BOTH = Columns(pa.schema([*PERSON, *SCENE, *DIRECTION, AGREEMENT]), rows_of_both)
