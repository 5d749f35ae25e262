"""The record of what a synthetic data set was made from: world.json, and a README for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gaze.errors import UserError

SCHEMA = 1  # of the pictures: raised whenever the same parameters give other ones


@dataclass(frozen=True)
class Manifest:
    """Everything that decides the files of a synthetic data set."""

    world: str
    parameters: Mapping[str, Any]
    seed: int
    counts: Mapping[str, int]
    annotators: int
    schema: int = SCHEMA

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def already_there(root: Path, wanted: Manifest, overwrite: bool) -> bool:
    """Whether the folder holds exactly what is wanted.

    Raises:
        UserError: it holds something else, and may not or must not be replaced.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    found = _read(root)
    if found is None:
        raise UserError(
            f"{root} exists and was not written by this tool (it has no readable world.json); choose another folder with out="
        )
    if found == json.loads(wanted.text()):
        return True
    if not overwrite:
        raise UserError(
            f"{root} holds another synthetic data set ({_difference(found, json.loads(wanted.text()))}); "
            "replace it with overwrite=true or choose another folder with out="
        )
    return False


def describe(manifest: Manifest, unit: str, layout: str) -> str:
    """What a person who finds the folder should know.

    Args:
        manifest: what it was made from.
        unit: what the manifest counts.
        layout: what the files are and mean.
    """
    counts = ", ".join(f"{count} {split}" for split, count in manifest.counts.items())
    parameters = "\n".join(f"  {name}: {value}" for name, value in manifest.parameters.items())
    return (
        "SYNTHETIC DATA. No photograph and no real person is in here; a figure measured on these pictures is a\n"
        "synthetic one and says nothing about accuracy on photographs.\n\n"
        f"World {manifest.world!r}, {unit}: {counts}, seed {manifest.seed}.\n{parameters}\n\n"
        f"{layout}"
    )


def _read(root: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((root / "world.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "schema" in found else None


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first few things in which two records differ."""
    flat_found, flat_wanted = _flat(found), _flat(wanted)
    keys = [k for k in {**flat_wanted, **flat_found} if flat_found.get(k) != flat_wanted.get(k)]
    return "; ".join(f"{k} is {flat_found.get(k)} there, {flat_wanted.get(k)} here" for k in keys[:3])


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        flat.update(value if isinstance(value, Mapping) else {key: value})
    return flat
