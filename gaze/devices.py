"""Screens and their cameras: `conf/devices.yaml`, and a user's own devices beside it."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from gaze.errors import UserError
from gaze.geometry import screen_to_camera_plane, turned_size
from gaze.plain_yaml import plain_yaml

KINDS = ("phone", "tablet", "laptop", "desktop")
SIDES = ("top", "bottom", "left", "right", "in_screen")
TABLE = "conf/devices.yaml"
REQUIRED = ("kind", "screen_mm", "camera_to_screen_mm", "camera_side")
OPTIONAL = ("screen_px", "screen_pt", "screen_pt_zoomed", "camera_fov", "aliases", "estimated")

Pair = tuple[float, float]


@dataclass(frozen=True)
class Device:
    """A screen and the camera at it, in the device's native upright orientation. Sizes are (width, height)."""

    name: str
    kind: str
    screen_cm: Pair
    camera_to_screen_cm: Pair  # camera to the right of the screen's left edge, and above its top edge
    camera_side: str  # the edge that the camera is beyond, or in_screen
    screen_px: tuple[int, int] | None = None
    screen_pt: tuple[int, int] | None = None  # what layouts are written in: points of iOS and macOS, dp of Android
    screen_pt_zoomed: tuple[int, int] | None = None  # the same with Display Zoom
    camera_fov_deg: float | None = None  # along the frame's longer side, nominal
    aliases: tuple[str, ...] = ()
    estimated: bool = False  # the camera's place is a guess from how the device looks; good to about 5 mm

    def label_range_cm(self, orientation: int) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of the screen in prediction space, cm, y up: where every label must be."""
        held = torch.tensor(orientation)
        size = turned_size(torch.tensor(self.screen_cm, dtype=torch.float64), held)
        corners = torch.stack([torch.zeros_like(size), size])
        offset = torch.tensor(self.camera_to_screen_cm, dtype=torch.float64)
        on_plane = screen_to_camera_plane(corners, size, offset, held)
        low, high = on_plane.amin(0).tolist(), on_plane.amax(0).tolist()
        return low[0], low[1], high[0], high[1]


def load_devices(path: str | Path | None = None) -> dict[str, Device]:
    """The devices that come with the package, and those of a user's file, by name; the user's win.

    Raises:
        UserError: a file is missing or not a table of devices, or two devices have one name.
    """
    shipped = (resources.files("gaze.conf") / "devices.yaml").read_text(encoding="utf-8")
    devices = _parse(shipped, TABLE)
    if path is not None:
        try:
            own = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"can't read the devices in {path}: {error}; expected a file like {TABLE}") from error
        devices |= _parse(own, str(path))
    _check_names(devices)
    return devices


def find_device(name: str, devices: Mapping[str, Device]) -> Device:
    """The device with a name or alias; upper case, spaces and punctuation don't matter.

    Raises:
        UserError: there is none; names those that are close, and says how to add one.
    """
    known = {_plain(n): device for device in devices.values() for n in (device.name, *device.aliases)}
    plain = _plain(name)
    if plain in known:
        return known[plain]
    close = dict.fromkeys(known[n].name for n in difflib.get_close_matches(plain, known, n=5))
    meant = f"did you mean {', '.join(close)}? " if close else ""
    raise UserError(
        f"the device {name!r} is not known; {meant}Known are {len(devices)}, in {TABLE}; "
        f"describe others in the same form in a file of your own and give its path as devices=FILE"
    )


def table_hash(devices: Mapping[str, Device]) -> str:
    """The sha256 of all that the table says, whatever the order of its rows: for model cards and checkpoints."""
    rows = {name: asdict(device) for name, device in devices.items()}
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _parse(text: str, source: str) -> dict[str, Device]:
    table = plain_yaml(text, source)
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise UserError(f"{source} is not a table of devices; expected, as in {TABLE}, a name and below it its facts")
    return {str(name): _device(str(name), row, source) for name, row in table.items()}


def _device(name: str, row: dict[str, Any], source: str) -> Device:
    where = f"{source}: {name}"
    missing = [key for key in REQUIRED if row.get(key) is None]
    unknown = [key for key in row if key not in REQUIRED + OPTIONAL]
    if missing or unknown:
        told = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(map(repr, unknown))}"
        raise UserError(f"{where} {told}; expected {', '.join(REQUIRED)} and perhaps {', '.join(OPTIONAL)}")
    for key, allowed in (("kind", KINDS), ("camera_side", SIDES)):
        if row[key] not in allowed:
            raise UserError(f"{where}.{key} is {row[key]!r}; expected one of {', '.join(allowed)}")
    width, height = _size(row["screen_mm"], f"{where}.screen_mm")
    dx, dy = _pair(row["camera_to_screen_mm"], f"{where}.camera_to_screen_mm")
    pixels = {
        key: tuple(int(side) for side in _size(row[key], f"{where}.{key}"))
        for key in ("screen_px", "screen_pt", "screen_pt_zoomed")
        if row.get(key) is not None
    }
    fov = row.get("camera_fov")
    if fov is not None and not (isinstance(fov, (int, float)) and 0 < fov < 180):
        raise UserError(f"{where}.camera_fov is {fov!r}; expected degrees between 0 and 180")
    return Device(
        name=name,
        kind=row["kind"],
        screen_cm=(width / 10, height / 10),
        camera_to_screen_cm=(dx / 10, dy / 10),
        camera_side=_side(row["camera_side"], (dx, dy), (width, height), where),
        camera_fov_deg=None if fov is None else float(fov),
        aliases=tuple(map(str, row.get("aliases") or ())),
        estimated=bool(row.get("estimated", False)),
        **pixels,  # type: ignore[arg-type]
    )


def _pair(value: Any, where: str) -> Pair:
    numbers = isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
    if not numbers:
        raise UserError(f"{where} is {value!r}; expected two numbers [x, y]")
    return float(value[0]), float(value[1])


def _size(value: Any, where: str) -> Pair:
    width, height = _pair(value, where)
    if not (0 < width < float("inf") and 0 < height < float("inf")):
        raise UserError(f"{where} is {value!r}; a screen has a width and a height above 0")
    return width, height


def _side(side: str, camera_mm: Pair, screen_mm: Pair, where: str) -> str:
    """The side, if the camera is there."""
    (x, y), (width, height) = camera_mm, screen_mm
    there = {
        "top": y >= 0,
        "bottom": y <= -height,
        "left": x <= 0,
        "right": x >= width,
        "in_screen": 0 < x < width and -height < y < 0,
    }
    if not there[side]:
        raise UserError(
            f"{where}: a camera at [{x:g}, {y:g}] mm is not at the side {side!r} of a screen of {width:g} x {height:g} mm; "
            "camera_to_screen_mm is how far the camera is right of the screen's left edge and above its top edge"
        )
    return side


def _check_names(devices: Mapping[str, Device]) -> None:
    owner: dict[str, str] = {}
    for device in devices.values():
        for name in (device.name, *device.aliases):
            first = owner.setdefault(_plain(name), device.name)
            if first != device.name:
                raise UserError(f"the devices {first} and {device.name} both answer to {name!r}; rename one of them")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))
