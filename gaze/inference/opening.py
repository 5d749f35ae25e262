"""A predictor from what a user names: the directory of a run, or a file exported from one."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from gaze.calibration.adapted import Change
from gaze.calibration.calibrated import calibrated, calibration_of, fingerprint
from gaze.errors import UserError
from gaze.export.card import KIND, card_beside, parsed
from gaze.export.exported import ExportedScenes, ExportedScreens, is_exported, open_exported
from gaze.export.formats import SUFFIXES
from gaze.hardware import Hardware
from gaze.inference.predictor import ScenePredictor
from gaze.inference.screen_predictor import ScreenPredictor, Views
from gaze.models.inputs import taken_by
from gaze.runs import load_config, load_model, plain_config
from gaze.signatures import locate
from gaze.trusted import MODELS, is_trusted
from gaze.types import ScreenInputs


def open_predictor(run: str | Path, hardware: Hardware, amp: bool = False, trust: bool = False) -> ScenePredictor:
    """The predictor of a scene model: of a run directory, an ``.onnx`` or a ``.pt2`` file. Files run on the CPU.

    Args:
        amp: run the model in the hardware's lower number format; not for files.
        trust: open files that can hold code.

    Raises:
        UserError: it can't be opened, or not as asked.
    """
    path = Path(run)
    if is_exported(path):
        file = _opened(path, hardware, amp, trust)
        return ScenePredictor(file, file.facts.image_size if isinstance(file, ExportedScenes) else None, hardware)
    image_size = OmegaConf.select(load_config(path), "dataset.image_size")
    return ScenePredictor(load_model(path), image_size, hardware, amp)


def open_screen_predictor(
    run: str | Path, hardware: Hardware, amp: bool = False, trust: bool = False, calibration: str | None = None
) -> ScreenPredictor:
    """The predictor of a model of the point of gaze; see `open_predictor`.

    Args:
        calibration: JSON file of a person, by which points are corrected.

    Raises:
        UserError: it can't be opened, or not as asked; the calibration is none, or of another model.
    """
    path = Path(run)
    if not is_exported(path):
        views = Views.of_run(plain_config(load_config(path)).get("dataset") or {})
        personal = None if calibration is None else calibration_of(calibration, fingerprint(path))
        model, after = calibrated(load_model(path), personal)
        return ScreenPredictor(model, views, hardware, amp, after)
    file = _opened(path, hardware, amp, trust)
    if not isinstance(file, ExportedScreens):
        raise UserError(f"{path} holds a scene model; expected one of the point of gaze")
    card = file.facts
    if calibration is not None and card.calibration is not None:
        raise UserError(f"{path} is calibrated already, by {card.calibration['method']}; leave calibration out")
    personal = None if calibration is None else calibration_of(calibration, card.weights_sha256)
    if personal is not None and isinstance(personal.correction, Change):
        raise UserError(
            f"{calibration} changes the model itself, and {path} can't be changed; give the run, or export it with "
            f"calibration={calibration}"
        )
    return ScreenPredictor(file, Views.of_card(card), hardware, calibration=personal)


def takes_screens(run: str | Path) -> bool:
    """Is what a user names a model of the point of gaze? Nothing is loaded, and no code of a file is run.

    False also for what is neither a run nor a file of ours: opening it says what is wrong.
    """
    path = Path(run)
    if is_exported(path):
        beside = card_beside(path)
        text = beside.read_text(errors="replace") if beside.is_file() else SUFFIXES[path.suffix].text(path)
        return parsed(text).get("kind") == KIND
    if not (path / "config.yaml").is_file():
        return False
    target = OmegaConf.select(load_config(path), "model._target_")
    return isinstance(target, str) and is_trusted(target, MODELS) and taken_by(locate(target)) is ScreenInputs


def _opened(path: Path, hardware: Hardware, amp: bool, trust: bool) -> ExportedScenes | ExportedScreens:
    if amp or hardware.compile:
        raise UserError(f"{path} is compiled already; amp and hardware.compile need the run directory instead")
    return open_exported(path, trust)
