"""A predictor from what a user names: the directory of a run, or a file exported from one."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.export.exported import Exported, is_exported
from gaze.hardware import Hardware
from gaze.inference.predictor import ScenePredictor
from gaze.runs import load_config, load_model


def open_predictor(run: str | Path, hardware: Hardware, amp: bool = False, trust: bool = False) -> ScenePredictor:
    """The predictor of a run directory, an ``.onnx`` or a ``.pt2`` file. Files run on the CPU.

    Args:
        amp: run the model in the hardware's lower number format; not for files.
        trust: open files that can hold code.

    Raises:
        UserError: it can't be opened, or not as asked.
    """
    path = Path(run)
    if is_exported(path):
        if amp or hardware.compile:
            raise UserError(f"{path} is compiled already; amp and hardware.compile need the run directory instead")
        file = Exported(path, trust)
        return ScenePredictor(file, file.facts.image_size, hardware)
    image_size = OmegaConf.select(load_config(path), "dataset.image_size")
    return ScenePredictor(load_model(path), image_size, hardware, amp)
