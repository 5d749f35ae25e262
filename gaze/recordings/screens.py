"""Labels on a known device, from the camera's plane to its screen and back, for all frames of a recording at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.devices import Device
from gaze.geometry import camera_plane_to_screen, screen_from_cm, screen_to_camera_plane, screen_to_cm, turned_size
from gaze.recordings.sample import Pair, ScreenSample


@dataclass(frozen=True)
class HeldScreen:
    """A device as it is held in n frames, and where was looked. Orientations other than 1 to 4 make NaN of points."""

    device: Device
    orientation: Int[np.ndarray, "n"]
    gaze_cam_cm: Float[np.ndarray, "n 2"]  # prediction space; NaN unknown

    @cached_property
    def screen_cm(self) -> Float[Tensor, "n 2"]:
        """Width, height as the user sees them."""
        return turned_size(torch.tensor(self.device.screen_cm, dtype=torch.float64), self._held)

    @cached_property
    def gaze_screen_cm(self) -> Float[Tensor, "n 2"]:
        """Where was looked, from the screen's top left."""
        return camera_plane_to_screen(torch.from_numpy(self.gaze_cam_cm), self.screen_cm, self._offset_cm, self._held)

    def error_cm(self, points: Float[np.ndarray, "n 2"], active: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """How far labels on the screen, in the unit of its size `active`, are from those in cm; NaN where one is unknown.

        The active size is that of Display Zoom where the user has it, and so its points come out right.
        """
        on_screen = screen_to_cm(torch.from_numpy(points), torch.from_numpy(active), self.screen_cm)
        on_plane = screen_to_camera_plane(on_screen, self.screen_cm, self._offset_cm, self._held)
        return (on_plane - torch.from_numpy(self.gaze_cam_cm)).norm(dim=-1).numpy()

    def place(self, sample: ScreenSample, at: int) -> ScreenSample:
        """Frame `at` with device, screen and label."""
        facts: dict[str, Any] = {
            "device": self.device.name,
            "device_kind": self.device.kind,
            "cam_to_screen_cm": self.device.camera_to_screen_cm,
            "orientation": int(self.orientation[at]),
            "screen_cm": tuple(self._screen_cm[at]),
            "gaze_cam_cm": _known(self.gaze_cam_cm[at]),
            "gaze_screen_cm": _known(self._gaze_screen_cm[at]),
        }
        if self._pixels is not None:
            size, point = self._pixels
            facts |= {"screen_px": tuple(size[at]), "gaze_screen_px": _known(point[at])}
        return replace(sample, **facts)

    @cached_property
    def _held(self) -> Int[Tensor, "n"]:
        return torch.from_numpy(self.orientation)

    @cached_property
    def _offset_cm(self) -> Float[Tensor, "2"]:
        return torch.tensor(self.device.camera_to_screen_cm, dtype=torch.float64)

    @cached_property
    def _screen_cm(self) -> list[list[float]]:
        return self.screen_cm.tolist()

    @cached_property
    def _gaze_screen_cm(self) -> Float[np.ndarray, "n 2"]:
        return self.gaze_screen_cm.numpy()

    @cached_property
    def _pixels(self) -> tuple[list[list[int]], Float[np.ndarray, "n 2"]] | None:
        if self.device.screen_px is None:
            return None
        size = turned_size(torch.tensor(self.device.screen_px), self._held)
        return size.tolist(), screen_from_cm(self.gaze_screen_cm, size, self.screen_cm).numpy()


def _known(point: Float[np.ndarray, "2"]) -> Pair | None:
    x, y = point.tolist()
    return (x, y) if np.isfinite(point).all() else None
