"""Fills in what follows from what a data set says: sizes of known devices, and labels in the other frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaze.devices import Device, find_device
from gaze.errors import UserError
from gaze.geometry import (
    camera_plane_to_screen,
    gaze_at_plane,
    pitch_yaw_to_vector,
    screen_from_cm,
    screen_to_camera_plane,
    screen_to_cm,
    vector_to_pitch_yaw,
)
from gaze.recordings.sample import ScreenSample


def complete(sample: ScreenSample, devices: Mapping[str, Device]) -> ScreenSample:
    """The frame with all that can be derived; what it says itself is never changed, except a device's alias.

    A device that isn't in the table leaves the sample as the reader gave it, for validation to name.
    """
    known = _device_facts(sample, devices)
    sample = replace(sample, **known)
    # Each label is derived from those above it, if it isn't there
    for name, derive in _LABELS:
        if getattr(sample, name) is None:
            sample = replace(sample, **{name: derive(sample)})
    return sample


def _device_facts(sample: ScreenSample, devices: Mapping[str, Device]) -> dict[str, Any]:
    try:
        device = devices.get(sample.device or "") or find_device(sample.device or "", devices)
    except UserError:
        return {}
    facts: dict[str, Any] = {"device": device.name}
    if sample.device_kind is None:
        facts["device_kind"] = device.kind
    if sample.cam_to_screen_cm is None:
        facts["cam_to_screen_cm"] = device.camera_to_screen_cm
    turned = sample.orientation >= 3
    for name in ("screen_px", "screen_pt", "screen_cm"):
        size = getattr(device, name)
        if getattr(sample, name) is None and size is not None:
            facts[name] = size[::-1] if turned else size
    return facts


def _screen_cm(sample: ScreenSample) -> Any:
    if sample.gaze_screen_px and _area(sample.screen_px) and _area(sample.screen_cm):
        return _pair(screen_to_cm, sample.gaze_screen_px, sample.screen_px, sample.screen_cm)
    if sample.gaze_cam_cm and _area(sample.screen_cm) and sample.cam_to_screen_cm:
        known = sample.screen_cm, sample.cam_to_screen_cm
        return _pair(camera_plane_to_screen, sample.gaze_cam_cm, *known, orientation=sample.orientation)
    return None


def _cam_cm(sample: ScreenSample) -> Any:
    if sample.gaze_screen_cm and _area(sample.screen_cm) and sample.cam_to_screen_cm:
        known = sample.screen_cm, sample.cam_to_screen_cm
        return _pair(screen_to_camera_plane, sample.gaze_screen_cm, *known, orientation=sample.orientation)
    return None


def _screen_px(sample: ScreenSample) -> Any:
    if sample.gaze_screen_cm and _area(sample.screen_px) and _area(sample.screen_cm):
        return _pair(screen_from_cm, sample.gaze_screen_cm, sample.screen_px, sample.screen_cm)
    return None


def _vector(sample: ScreenSample) -> Any:
    if sample.gaze_pitchyaw:
        return _pair(pitch_yaw_to_vector, sample.gaze_pitchyaw)
    if sample.gaze_origin_cm and sample.gaze_cam_cm:
        return _pair(gaze_at_plane, sample.gaze_cam_cm, sample.gaze_origin_cm)
    return None


def _pitch_yaw(sample: ScreenSample) -> Any:
    return _pair(vector_to_pitch_yaw, sample.gaze_vector) if sample.gaze_vector else None


_LABELS: tuple[tuple[str, Callable[[ScreenSample], Any]], ...] = (
    ("gaze_screen_cm", _screen_cm),
    ("gaze_cam_cm", _cam_cm),
    ("gaze_screen_px", _screen_px),
    ("gaze_vector", _vector),
    ("gaze_pitchyaw", _pitch_yaw),
)


def _area(size: Any) -> bool:
    return size is not None and min(size) > 0


def _pair(convert: Callable[..., Tensor], *values: Any, orientation: int | None = None) -> tuple[float, ...]:
    """What a function of gaze/geometry.py gives for one sample, in float64."""
    rows = [torch.from_numpy(np.array([value], np.float64)) for value in values]
    held = [] if orientation is None else [torch.tensor([orientation])]
    return tuple(convert(*rows, *held)[0].tolist())
