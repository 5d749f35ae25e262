"""Where an exported model comes from: its run, and the data it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gaze.errors import UserError
from gaze.recordings.reading import table_files
from gaze.recordings.schema import header

logger = logging.getLogger(__name__)

TEACHER = "gaze.runs.load_model"  # what builds a model of another run inside a config


def identity(run: str | Path) -> str:
    """The last two parts of a run's directory: enough to find it, without telling whose machine it was on."""
    path = Path(run).resolve()
    return f"{path.parent.name}/{path.name}"


def training_data(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the recordings that a run's data set was: name, where boxes come from, how crops were cut.

    Args:
        dataset: the plain config of the data set.
    """
    if dataset.get("source"):
        names = [name for part in face_sources(dataset) if (name := part.get("name"))]
        return {"names": names} if len(names) > 1 else {"name": names[0]} if names else {}
    recording = dataset.get("recording") or {}
    if recording:
        said = {
            "name": recording.get("dataset"),
            "boxes": recording.get("boxes_from"),
            "layout": recording.get("layout"),
        }
        return {key: value for key, value in said.items() if value}
    path = dataset.get("path")
    try:
        about = header(table_files(path)[0]) if path else None
    except UserError as error:
        logger.warning("the data of the run can't be read, so its card says little about them: %s", error)
        about = None
    if about is None:
        return {}
    found = {"name": about.dataset, "boxes": about.boxes, "crops": dict(about.crop), "sha256": about.source_sha256}
    return {key: value for key, value in found.items() if value}


def face_sources(dataset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The configs of what reads the faces of a data set: one, or several by name."""
    source = dataset.get("source") or {}
    return [source] if "_target_" in source else [part for part in source.values() if isinstance(part, Mapping)]


def other_runs(node: Any) -> Iterator[str]:
    """The runs that a config takes models or weights from: teachers, first stages."""
    if isinstance(node, Mapping):
        named = node.get("run")
        if isinstance(named, str):
            yield named
        for value in node.values():
            yield from other_runs(value)
    elif isinstance(node, list):
        for value in node:
            yield from other_runs(value)
