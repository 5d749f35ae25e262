"""The columns of a table of recordings: names, types and units, the version they have, and what a file says of itself.

Lists have a fixed length and are never null: NaN stands where a value is missing, because Parquet cannot
read null lists of a fixed length back and because arrays then need no masks. Relative paths in a table
start at the folder of the file they stand in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gaze.errors import UserError
from gaze.label_units import CM
from gaze.stores.parquet import open_parquet
from gaze.stores.places import Place

VERSION = "1"
ROW_GROUP = 1024  # rows
LANDMARKS = 478  # points of MediaPipe's face mesh, irises included
STREAMS = ("face", "left_eye", "right_eye")
PREFIX = "pog."
REMEDY = "write it again with tools/prepare_pog.py or tools/synthesize.py"
UNITS = {
    "boxes": "x, y, w, h in px of the upright frame",
    "landmarks": "x, y as fractions of the upright frame, z in units of x",
    "*_cm": "cm",
    "*_px": "px",
    "*_pt": "points of iOS",
    "gaze_screen_*": "from the top left of the screen as it is held, x right, y down",
    "gaze_cam_cm": "cm from the camera in the plane of the screen, x right, y up; or as label_unit says",
    "gaze_pitchyaw": "radians, up and towards the image's left positive",
    "camera frame": "x right and y down in the image, z into the scene",
    "imu": "gravity in g, rotation rate in rad/s, user acceleration in g",
}


def _numbers(count: int, kind: pa.DataType | None = None) -> pa.DataType:
    return pa.list_(pa.field("element", kind or pa.float32()), count)


_WORD = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),  # <dataset>/<recording>/<frame>, unique
        "dataset": _WORD,
        "subject": _WORD,  # the unit of splits
        "recording": _WORD,
        "session": _WORD,
        "frame": pa.int32(),
        "split": _WORD,  # train, val, test, calib or unused
        "valid": pa.bool_(),
        "reject_reason": pa.string(),
        "frame_path": pa.string(),  # of each picture the path, the bytes or neither
        "frame_bytes": pa.binary(),
        "face_path": pa.string(),
        "face_bytes": pa.binary(),
        "left_eye_path": pa.string(),
        "left_eye_bytes": pa.binary(),
        "right_eye_path": pa.string(),
        "right_eye_bytes": pa.binary(),
        "frame_w": pa.int16(),  # px, upright
        "frame_h": pa.int16(),
        "frame_rotation": pa.int16(),  # degrees counter-clockwise that made the sensor's image upright
        "face_box": _numbers(4),  # px of the upright frame, may leave it
        "left_eye_box": _numbers(4),
        "right_eye_box": _numbers(4),
        "face_score": pa.float32(),
        "landmarks": _numbers(3 * LANDMARKS, pa.float16()),
        "blendshapes": _numbers(52, pa.float16()),
        "head_pose": _numbers(6),  # Rodrigues vector, translation in cm; camera frame
        "head_distance_cm": pa.float32(),
        "distance_source": _WORD,  # measured or estimated
        "camera_K": _numbers(4),  # fx, fy, cx, cy px
        "imu": _numbers(9),
        "imu_valid": pa.bool_(),
        "device": _WORD,  # of conf/devices.yaml
        "device_kind": _WORD,  # phone, tablet, laptop or desktop
        "orientation": pa.int8(),  # of the interface, 1 to 4
        "screen_w_px": pa.int32(),  # as the device is held, like the next four
        "screen_h_px": pa.int32(),
        "screen_w_pt": pa.float32(),
        "screen_h_pt": pa.float32(),
        "screen_w_cm": pa.float32(),
        "screen_h_cm": pa.float32(),
        "cam_to_screen_cm": _numbers(2),  # dX, dY of the device held upright
        "gaze_screen_px": _numbers(2),
        "gaze_screen_cm": _numbers(2),
        "gaze_cam_cm": _numbers(2),  # the label of training
        "gaze_pitchyaw": _numbers(2),
        "gaze_vector": _numbers(3),  # camera frame
        "gaze_origin_cm": _numbers(3),
        "dot_index": pa.int32(),
        "dot_time_s": pa.float32(),  # since the dot appeared
        "is_calib_dot": pa.bool_(),
        "timestamp_s": pa.float64(),
        "weight": pa.float32(),  # of sampling
        "attrs": pa.map_(pa.string(), pa.string()),
    }
)


@dataclass(frozen=True)
class Header:
    """What a file says of itself, beside its rows."""

    dataset: str
    boxes: str  # where boxes come from: apple, facemesh, ...
    crop: Mapping[str, Any] = field(default_factory=dict)  # how pictures were cut: sizes, margins, padding, quality
    source_sha256: str = ""  # of what was read
    created_utc: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)  # of the tool that wrote it
    label_unit: str = CM  # of gaze_cam_cm, a row of gaze.label_units.UNITS
    version: str = VERSION

    def metadata(self) -> dict[str, str]:
        """The keys and values that are known before the first row; `source_sha256`, `notes` and `label_unit` follow."""
        return {
            f"{PREFIX}schema_version": self.version,
            f"{PREFIX}dataset": self.dataset,
            f"{PREFIX}created_utc": self.created_utc,
            f"{PREFIX}boxes": self.boxes,
            f"{PREFIX}crop": json.dumps(dict(self.crop), sort_keys=True),
            f"{PREFIX}units": json.dumps(UNITS),
        }


def open_file(path: Place, verify: bool = False) -> pq.ParquetFile:
    """One file of a table, memory-mapped or remote; `verify` checks each page that is read against its checksum.

    Raises:
        UserError: it is missing, damaged, of another schema or of another version.
    """
    try:
        file = open_parquet(path, verify)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; expected a table of recordings, {REMEDY}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: {_damage(path, error)}") from error
    _check(path, file.schema_arrow)
    return file


def header(path: Place) -> Header:
    """What a file says of itself.

    Raises:
        UserError: it is missing, damaged, of another schema or of another version.
    """
    with open_file(path) as file:
        found = {k.decode(): v.decode() for k, v in file.metadata.metadata.items() if k.startswith(PREFIX.encode())}
    return Header(
        found.get(f"{PREFIX}dataset", ""),
        found.get(f"{PREFIX}boxes", ""),
        json.loads(found.get(f"{PREFIX}crop") or "{}"),
        found.get(f"{PREFIX}sha256_source", ""),
        found.get(f"{PREFIX}created_utc", ""),
        json.loads(found.get(f"{PREFIX}notes") or "{}"),
        found.get(f"{PREFIX}label_unit", CM),
    )


def _check(path: Place, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(f"{PREFIX}schema_version".encode())
    if version is None:
        raise UserError(
            f"{path} is a Parquet file, but not a table of recordings: it lacks the metadata {PREFIX}schema_version "
            f"(its columns: {', '.join(found.names[:6])}, ...); {REMEDY}, or read it with recording=folder_csv"
        )
    if version.decode() != VERSION:
        raise UserError(
            f"{path} has version {version.decode()} of the schema, and this program reads version {VERSION}; {REMEDY}"
        )
    wrong = [
        f"{f.name} is {found.field(f.name).type if f.name in found.names else 'missing'}, not {f.type}"
        for f in SCHEMA
        if f.name not in found.names or found.field(f.name).type != f.type
    ]
    if wrong:
        raise UserError(
            f"{path} says that it has version {VERSION} of the schema, but {'; '.join(wrong[:3])}; {REMEDY}"
        )


def _damage(path: Place, error: Exception) -> str:
    if not isinstance(path, Path):
        return f"what the store has is damaged or not a Parquet file ({str(error).splitlines()[0][:80]}); {REMEDY}"
    if path.is_dir():
        return "this is a folder where a file was expected"
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return f"the file is cut short or damaged, its end is missing ({path.stat().st_size:,} bytes); {REMEDY}"
    if not start:
        return f"the file is empty; {REMEDY}"
    return f"this is not a Parquet file ({str(error).splitlines()[0][:80]}); {REMEDY}"
