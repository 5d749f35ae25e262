"""The card of an exported model that looks at people's crops: all that a program needs to know to use it rightly.

That of a model of gaze directions is in `gaze.export.direction_card`. It stands in the file, where the format has room for
it, and as JSON in a second file beside it, FILE.json, with the digest of the file and with what was measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gaze.export.facts import ExportError
from gaze.tensor_files import sha256

T = TypeVar("T")

VERSION = 1
KIND = "screen"
ENDING = ".json"  # of the card's name, behind that of the file
MEASURED = ("sha256", "parity", "latency")  # what only the card beside the file says

EYES = (
    "left and right are the user's own: a camera that does not mirror shows the left eye on the image's right; a crop of "
    "one eye is never mirrored by the caller"
)
ROTATION = (
    "frames are upright as the user sees them: turned with the device by its frame_rotation, and by EXIF, before anything "
    "is cut"
)
TARGET = (
    "cm from the camera in the plane of the screen, x right and y up as the user sees the device in its current "
    "orientation; gaze/geometry.py has the ways to the screen"
)
BOXES = (
    "squares (x, y, width, height): an eye's is 1.5 times as wide as its corners are apart, the face's 1.25 times the "
    "longer side of what holds its landmarks, unless `data` says that boxes come from elsewhere; parts beyond the frame "
    "repeat its border"
)


@dataclass(frozen=True)
class Card:
    """What a file says about itself. All of it is plain, so that it can be JSON."""

    card: int  # version of this form
    kind: str
    model: str  # name of the run's config
    run: str  # the last two parts of its directory
    weights_sha256: str  # of the checkpoint's model.safetensors
    gaze: str  # version of this package
    weights: str  # float32, float16 or int8
    inputs: dict[str, dict[str, Any]]  # by name: type, shape (0: any number of samples), meaning
    outputs: dict[str, dict[str, Any]]
    preprocess: str  # inside or outside
    normalisation: str
    landmarks: list[int] | None  # MediaPipe's indices of the input of that name
    eyes: str
    crops: str
    rotation: str
    target: str
    devices_sha256: str  # of the device table (gaze/devices.py) at export
    data: dict[str, Any]  # what is known of the training data: name, where boxes come from, how crops were cut
    licences: list[dict[str, Any]]
    research_only: bool | None  # None: not known of all that went into it
    calibration: dict[str, Any] | None  # of one person, in the file: its outputs are calibrated already
    notes: list[str]

    def text(self) -> str:
        """As JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def read(cls, text: str | None, file: Path) -> Card:
        """The card in `file`, whose text this is.

        Raises:
            ExportError: there is none, or one of another version.
        """
        return read_as(cls, KIND, text, file)


def read_as(form: type[T], kind: str, text: str | None, file: Path) -> T:
    """The card of a kind in `file`, whose text this is; more than `form` asks for may stand in it.

    Raises:
        ExportError: there is none, or one of another version or kind.
    """
    found = parsed(text)
    if found.get("card") != VERSION or found.get("kind") != kind:
        raise ExportError(
            f"{file} holds no card of version {VERSION}; expected a file that tools/export.py of this version wrote"
        )
    try:
        return form(**{field.name: found[field.name] for field in dataclasses.fields(form)})  # type: ignore[arg-type]
    except KeyError as error:
        raise ExportError(f"{file}: its card lacks {error}; export it again") from error


def parsed(text: str | None) -> dict[str, Any]:
    """The JSON object in a text; empty if it is none."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def card_beside(file: Path) -> Path:
    """Where the card of a file is."""
    return file.with_name(file.name + ENDING)


def sidecar(text: str, file: Path, measured: dict[str, Any]) -> str:
    """The card beside a file that holds `text`."""
    return json.dumps(json.loads(text) | {"sha256": digest(file)} | measured, indent=1) + "\n"


def check_sidecar(file: Path, text: str | None) -> dict[str, Any]:
    """What the card beside a file says; `text` is the card in the file.

    Raises:
        ExportError: it is missing, or of another file.
    """
    beside = card_beside(file)
    if not beside.is_file():
        raise ExportError(
            f"{file} comes without its card {beside.name}, which says what its crops and points mean; put it beside the "
            "file, or export again"
        )
    found = parsed(beside.read_text(encoding="utf-8", errors="replace"))
    said = {key: value for key, value in found.items() if key not in MEASURED}
    if not found or found.get("sha256") != digest(file) or said != parsed(text):
        raise ExportError(
            f"{beside} is not the card of {file}: it describes another file; export again for a pair that fits"
        )
    return found


def digest(file: Path) -> str:
    """The sha256 of a file; of a folder that of its files' names and contents."""
    if not file.is_dir():
        return sha256(file)
    whole = hashlib.sha256()
    for part in sorted(path for path in file.rglob("*") if path.is_file()):
        whole.update(f"{part.relative_to(file).as_posix()} {sha256(part)}\n".encode())
    return whole.hexdigest()
