"""The devices of the synthetic screen world: three phones and two tablets that nobody sells.

They are written beside the data as `devices.yaml`, in the form of `conf/devices.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from gaze.devices import Device, find_device, load_devices

FOV_DEG = 59.5  # of the longer side of a frame of 640 px with a focal length of 560 px


def _device(
    name: str, kind: str, screen_cm: tuple[float, float], screen_px: tuple[int, int], offset_cm: tuple[float, float]
) -> Device:
    side = "top" if offset_cm[1] >= 0 else "in_screen"
    return Device(name, kind, screen_cm, offset_cm, side, screen_px=screen_px, camera_fov_deg=FOV_DEG)


VIRTUAL: Mapping[str, Device] = {
    device.name: device
    for device in (
        _device("virtual_phone_small", "phone", (5.85, 10.40), (750, 1334), (1.86, 0.80)),
        _device("virtual_phone_large", "phone", (6.84, 12.15), (1080, 1920), (2.35, 0.87)),
        _device("virtual_phone_tall", "phone", (7.00, 15.20), (1080, 2340), (3.50, -0.35)),
        _device("virtual_tablet_small", "tablet", (12.13, 16.12), (1536, 2048), (6.07, 0.87)),
        _device("virtual_tablet_large", "tablet", (14.90, 19.81), (1536, 2048), (7.44, 0.99)),
    )
}


def choose_devices(names: Sequence[str] | None) -> list[Device]:
    """The named devices, virtual or of the device table; None: all virtual ones.

    Raises:
        UserError: a name is unknown.
    """
    if names is None:
        return list(VIRTUAL.values())
    known = {**load_devices(), **VIRTUAL}
    return [find_device(name, known) for name in names]


def write_devices(devices: Sequence[Device], path: Path) -> None:
    """The devices as a table for `gaze.devices.load_devices`."""
    table = {
        device.name: {
            "kind": device.kind,
            "screen_mm": [round(10 * side, 4) for side in device.screen_cm],
            "screen_px": list(device.screen_px or ()) or None,
            "camera_to_screen_mm": [round(10 * side, 4) for side in device.camera_to_screen_cm],
            "camera_side": device.camera_side,
            "camera_fov": device.camera_fov_deg,
        }
        for device in devices
    }
    path.write_text(yaml.safe_dump(table, sort_keys=False))
