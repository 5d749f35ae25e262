"""A predictor from what a user names: the directory of a run, or a file exported from one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from omegaconf import OmegaConf

from gaze.calibration.adapted import Change
from gaze.calibration.calibrated import calibrated, calibration_of, fingerprint
from gaze.errors import UserError
from gaze.export import direction_card
from gaze.export.card import KIND, card_beside, parsed
from gaze.export.direction_card import DirectionCard
from gaze.export.exported import ExportedDirections, ExportedScenes, ExportedScreens, is_exported, open_exported
from gaze.export.formats import SUFFIXES
from gaze.folding import folded
from gaze.hardware import Hardware
from gaze.inference.cameras import Camera
from gaze.inference.direction_predictor import DirectionPredictor
from gaze.inference.faces import CroppedFaces, Cut, FaceSource, FindsFace, NormalisedFaces, cut_of_run, face_size_of
from gaze.inference.predictor import ScenePredictor
from gaze.inference.screen_predictor import ScreenPredictor, Views
from gaze.models.inputs import taken_by
from gaze.runs import load_config, load_model, plain_config
from gaze.signatures import locate
from gaze.trusted import MODELS, is_trusted
from gaze.types import DirectionInputs, ScreenInputs


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
    return ScenePredictor(folded(load_model(path)), image_size, hardware, amp)


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
        return ScreenPredictor(folded(model), views, hardware, amp, after)
    file = _opened(path, hardware, amp, trust)
    if not isinstance(file, ExportedScreens):
        kind = "a scene model" if isinstance(file, ExportedScenes) else "a model of gaze directions"
        raise UserError(f"{path} holds {kind}; expected one of the point of gaze")
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
    return parsed(_card(path)).get("kind") == KIND if is_exported(path) else _taken_by_run(path) is ScreenInputs


def takes_directions(run: str | Path) -> bool:
    """Is what a user names a model of gaze directions? Nothing is loaded; see `takes_screens`."""
    path = Path(run)
    if is_exported(path):
        return parsed(_card(path)).get("kind") == direction_card.KIND
    return _taken_by_run(path) is DirectionInputs


def open_direction_predictor(
    run: str | Path, hardware: Hardware, amp: bool = False, mirror: bool = False, trust: bool = False
) -> DirectionPredictor:
    """The predictor of a model of gaze directions; see `open_predictor`.

    Args:
        mirror: take the mean over each face and its mirror image.

    Raises:
        UserError: it can't be opened, or tells something else.
    """
    path = Path(run)
    if is_exported(path):
        file = _opened(path, hardware, amp, trust)
        if not isinstance(file, ExportedDirections):
            kind = "a scene model" if isinstance(file, ExportedScenes) else "a model of the point of gaze"
            raise UserError(f"{path} holds {kind}; expected one of gaze directions")
        return DirectionPredictor(file, file.facts.face_size, hardware, mirror=mirror)
    config = load_config(path)
    takes = _taken_by_run(path)
    if takes is not DirectionInputs:
        raise UserError(
            f"the model of {path}, {OmegaConf.select(config, 'model._target_')}, takes {getattr(takes, '__name__', takes)}; "
            "expected a model of gaze directions, such as GazeFormer, which takes DirectionInputs"
        )
    data = plain_config(config).get("dataset") or {}
    clips = {"window": data.get("window", 1), "window_step": data.get("window_step", 1)}
    return DirectionPredictor(folded(load_model(path)), face_size_of(data), hardware, amp, mirror, **clips)


def open_faces(
    run: str | Path, side: float | None, down: float | None, camera: Camera, find: Callable[[], FindsFace]
) -> FaceSource:
    """What cuts faces out of photographs for a model of gaze directions: normalised if a camera is known, else squares.

    Args:
        side, down: see `gaze.inference.faces.Cut`; None: as the run's data set cuts them.
        find: makes what finds landmarks; called only if a camera is known.

    Raises:
        UserError: the run does not say how large faces are, or landmarks are not to be had.
    """
    size, own = _trained_on(Path(run))
    for key, value in (("side", side), ("down", down)):
        if not isinstance(value, (int, float, type(None))):
            raise UserError(f"crop.{key}={value!r}; expected a number, or null for what the run's data set cuts")
    if not camera.known:
        cut = Cut(own.side if side is None else side, own.down if down is None else down)
        return CroppedFaces(size, cut, camera)
    if side is not None or down is not None:
        raise UserError(
            "crop.side and crop.down cut squares, and with a camera faces are normalised instead; leave one out"
        )
    try:
        if find_spec("cv2") is None:
            raise UserError("the pose of a head needs OpenCV, which is not installed: pip install 'gaze[detect]'")
        return NormalisedFaces(size, camera, find())
    except UserError as error:
        raise UserError(f"a camera is given, so faces are normalised by their landmarks, but {error}") from error


def _trained_on(path: Path) -> tuple[tuple[int, int], Cut]:
    """(height, width) in px of the faces that a run or a file was trained on, and which part of a head's box they are."""
    if is_exported(path):
        card = DirectionCard.read(_card(path), path)
        return card.face_size, Cut(card.crop["side"], card.crop["down"])
    data = plain_config(load_config(path)).get("dataset") or {}
    return face_size_of(data), cut_of_run(data)


def _card(path: Path) -> str | None:
    """What is written beside a file, or else in it. No code of the file is run."""
    beside = card_beside(path)
    return beside.read_text(errors="replace") if beside.is_file() else SUFFIXES[path.suffix].text(path)


def _taken_by_run(path: Path) -> type | None:
    """The inputs of a run's model; None for what is no run of ours."""
    if not (path / "config.yaml").is_file():
        return None
    target = OmegaConf.select(load_config(path), "model._target_")
    return taken_by(locate(target)) if isinstance(target, str) and is_trusted(target, MODELS) else None


def _opened(
    path: Path, hardware: Hardware, amp: bool, trust: bool
) -> ExportedScenes | ExportedScreens | ExportedDirections:
    if amp or hardware.compile:
        raise UserError(f"{path} is compiled already; amp and hardware.compile need the run directory instead")
    return open_exported(path, trust)
