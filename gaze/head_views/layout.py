"""What a file of head views holds, how files are called, and whose heads are only for tests.

One file per person, N views: GazeNeRF's and GazeGaussian's layout (ICCV 2025), in which ETH-XGaze, MPIIFaceGaze, ColumbiaGaze
and GazeCapture are published after face normalisation and a fit of a 3D morphable model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

SPLITS = ("train", "val", "test")
SPLIT_FILE = "train_test_split.json"


class Kind(NamedTuple):
    """A data set that comes in this layout."""

    title: str
    prefix: str  # of its files' names; public copies may lack it
    tests_only: bool  # published figures on it are of models that have not seen it


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "xgaze": Kind("ETH-XGaze", "xgaze_", False),  # synthetic heads are called like it, too
        "mpii": Kind("MPIIFaceGaze", "mpii_", True),
        "columbia": Kind("ColumbiaGaze", "columbia_", True),
        "gaze_capture": Kind("GazeCapture", "gaze_capture_", True),
    }
)

# The people of ETH-XGaze's person-specific test set, on whom redirection is evaluated
XGAZE_TEST = frozenset(f"{number:04d}" for number in (12, 22, 25, 47, 54, 74, 86, 94, 96, 97, 110, 113, 115, 116, 119))


class Key(NamedTuple):
    """An array of a file: its first axis counts views."""

    tail: tuple[int | None, ...]  # sizes of the other axes; None: any. Axes of one are neither needed nor in the way
    optional: bool = False  # may `key_map` say that files lack it?


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "face_patch": Key((None, None, 3)),  # uint8, BGR
        "head_mask": Key((None, None)),  # uint8, 0 or 255, as are the next two
        "left_eye_mask": Key((None, None), optional=True),  # left in the picture
        "right_eye_mask": Key((None, None), optional=True),
        "facial_landmarks_3d": Key((None, 3)),  # camera frame; 68, or 66 without the outer corners of the mouth
        "vertice": Key((None, 3), optional=True),  # camera frame
        "latent_codes": Key((None,)),
        "pose": Key((6,)),
        "scale": Key(()),
        "w2c_Rmat": Key((3, 3)),
        "w2c_Tvec": Key((3,)),
        "inmat": Key((3, 3)),  # px
        "pitchyaw_head": Key((2,)),  # radians, of the head's y-down frame; positive pitch looks DOWN
        "cam_index": Key((), optional=True),
        "frame_index": Key((), optional=True),
    }
)


def keys_of(key_map: Mapping[str, str | None]) -> dict[str, str | None]:
    """What files call each array; None for one that they lack.

    Args:
        key_map: the names that differ from the layout's.

    Raises:
        ValueError: a name is not of the layout, or one that is needed is said to lack.
    """
    unknown = [name for name in key_map if name not in KEYS]
    if unknown:
        raise ValueError(f"key_map has {', '.join(unknown)}; expected names of the layout: {', '.join(KEYS)}")
    needed = [name for name, other in key_map.items() if other is None and not KEYS[name].optional]
    if needed:
        spare = ", ".join(name for name, key in KEYS.items() if key.optional)
        raise ValueError(f"key_map says that {', '.join(needed)} is not there; only {spare} may be left out")
    return {name: key_map.get(name, name) for name in KEYS}


def kind_of(stem: str) -> str | None:
    """The data set that a file's name begins with; None for a name without it."""
    return next((name for name, kind in KINDS.items() if stem.startswith(kind.prefix)), None)


def person_of(stem: str) -> str:
    """The person of a file's name, as subject0012, without what it begins with."""
    kind = kind_of(stem)
    return stem if kind is None else stem.removeprefix(KINDS[kind].prefix)


def number_of(person: str) -> str:
    """The digits that end a person's name, or nothing."""
    found = re.search(r"\d+$", person)
    return found.group() if found else ""
