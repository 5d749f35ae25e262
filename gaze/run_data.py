"""Which data set a run's model is asked about: the run's own or another, here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gaze.errors import UserError

# What the samples of a screen or a face look like to a model: another data set must give them as the run's own did.
SHAPES = ("streams", "face_size", "eye_size", "landmarks", "window")
PLACES = ("path", "root")  # what data sets call the file or folder that they are in


def dataset_node(
    own: Mapping[str, Any] | None, other: Mapping[str, Any] | None = None, place: str | None = None
) -> dict[str, Any]:
    """The plain config of the data set to open.

    Args:
        own: that of the run.
        other: that of another data set, whose samples are to look as the run's own did; None: the run's own.
        place: the file or folder to open instead of the one it names; of several, the folder that they are all in.

    Raises:
        UserError: there is no data set, or it is in no single place.
    """
    if not own and not other:
        raise UserError("the run names no data set; choose one with dataset=NAME")
    node = dict(other or own or {})
    if other:
        node |= {name: (own or {})[name] for name in SHAPES if name in node and (own or {}).get(name) is not None}
    return node if place is None else _moved(node, place)


def _placed(node: Any) -> bool:
    return isinstance(node, Mapping) and any(key in node for key in PLACES)


def _below(node: dict[str, Any], place: str) -> dict[str, Any]:
    """One of several data sets, in a folder below the place that is called as its own folder was."""
    return node | {key: f"{place}/{str(node[key]).rstrip('/').split('/')[-1]}" for key in PLACES if key in node}


def _moved(node: dict[str, Any], place: str) -> dict[str, Any]:
    for key in PLACES:
        if key in node:
            return node | {key: place}
    # A reader of recordings knows where they are, and the data set has the reader.
    for part, inside in node.items():
        if _placed(inside):
            return node | {part: _moved(dict(inside), place)}
        if isinstance(inside, Mapping) and all(_placed(other) for other in inside.values()) and inside:
            return node | {part: {name: _below(dict(other), place) for name, other in inside.items()}}
    raise UserError(
        f"the data set {node.get('_target_', '?')} has neither {' nor '.join(PLACES)}, so it can't be opened at "
        f"{place}; leave the place out, or choose another data set with dataset=NAME"
    )
