"""Shows where people look, in photographs, videos and on screens:  python tools/predict.py run=... source=... [--heads ...]"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.hydra_words import quoted
from gaze.trusted import TRUSTED

logger = logging.getLogger(__name__)

TEXTS = (
    *("run", "direction_run", "source", "heads", "out"),
    *("detector.model", "landmarker.model", "calibration", "devices", "camera.file"),
)
OPTIONS = ("--source", "--heads", "--out")


@hydra.main(config_path="pkg://gaze.conf", config_name="predict", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Load the model of a run or a file, and predict on images, a video or prepared crops."""
    from gaze.errors import UserError
    from gaze.inference.opening import takes_directions, takes_screens

    source = Path(cfg.source)
    name = source.resolve().name if source.is_dir() else source.stem
    out = Path(cfg.out) if cfg.out is not None else Path("outputs", "predictions", name)
    about = {"run": str(cfg.run), "source": str(source)}
    alone, screens = takes_directions(cfg.run), takes_screens(cfg.run)
    if cfg.direction_run is not None and (alone or screens):
        kind = "gaze directions" if alone else "the point of gaze on screens"
        raise UserError(
            f"run={cfg.run} is a model of {kind}, and direction_run is given too; expected a scene model, such as GazeLLE, as "
            "run, or no direction_run"
        )
    way = on_screens if screens else as_directions if alone or cfg.direction_run is not None else in_scenes
    print(way(cfg, source, out, about))


def in_scenes(cfg: DictConfig, source: Path, out: Path, about: dict[str, str]) -> Path:
    """Where the people in pictures look."""
    from gaze.inference.heads import choose_heads
    from gaze.inference.images import predict_images
    from gaze.inference.opening import open_predictor
    from gaze.inference.tables import check_formats
    from gaze.inference.video import is_video, predict_video
    from gaze.runs import build

    heads = choose_heads(plain(cfg.heads), lambda: build(cfg.detector))
    check_parts(cfg, "track", "smooth")
    tracker, smooth, tables = build(cfg.track), build(cfg.smooth), check_formats(cfg.tables)
    predictor = open_predictor(cfg.run, build(cfg.hardware), cfg.amp, cfg.trust)
    if is_video(source):
        return predict_video(predictor, heads, source, out, about, cfg.every, cfg.batch_size, tracker, smooth, tables)
    return predict_images(predictor, heads, source, out, about, cfg.batch_size)


def as_directions(cfg: DictConfig, source: Path, out: Path, about: dict[str, Any]) -> Path:
    """Which way the people in pictures look; and, if a scene model is given too, where in the picture, and if both agree."""
    from gaze.inference.direction_follow import Smoothing, film_directions
    from gaze.inference.direction_people import FRAME
    from gaze.inference.directions import predict_directions
    from gaze.inference.heads import choose_heads
    from gaze.inference.opening import open_direction_predictor, open_faces, open_predictor
    from gaze.inference.tables import check_formats
    from gaze.inference.video import is_video
    from gaze.runs import build

    run = cfg.run if cfg.direction_run is None else cfg.direction_run
    heads = choose_heads(plain(cfg.heads), lambda: build(cfg.detector))
    check_parts(cfg, "track", "smooth", "smooth_direction", "camera")
    tracker, tables = build(cfg.track), check_formats(cfg.tables)
    smoothing, camera = Smoothing(build(cfg.smooth), build(cfg.smooth_direction)), build(cfg.camera)
    hardware = build(cfg.hardware)
    predictor = open_direction_predictor(run, hardware, cfg.amp, cfg.mirror, cfg.trust)
    scene = None if cfg.direction_run is None else open_predictor(cfg.run, hardware, cfg.amp, cfg.trust)
    if not camera.known:
        logger.warning(
            "no camera is given: its focal length is taken to be the picture's width, on which absolute angles depend; give "
            "camera.focal_px or camera.file"
        )
    with ExitStack() as opened:
        faces = open_faces(
            run, cfg.crop.side, cfg.crop.down, camera, lambda: opened.enter_context(build(cfg.landmarker))
        )
        about |= {"directions": {**FRAME, **faces.about, "mirror": cfg.mirror}}
        about |= {} if scene is None else {"direction_run": str(run)}
        given = (predictor, faces, heads, source, out, about)
        if is_video(source):
            return film_directions(*given, cfg.every, cfg.batch_size, tracker, smoothing, tables, scene)
        return predict_directions(*given, cfg.batch_size, scene)


def plain(node: Any) -> Any:
    """A value of the config without its wrapping."""
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


def check_parts(cfg: DictConfig, *keys: str) -> None:
    """Find mistakes in these parts of the config, and in that of who is who, before anything is loaded.

    Raises:
        UserError: there is one, or nobody could be followed.
    """
    from gaze.errors import UserError
    from gaze.runs import check

    check(OmegaConf.create({key: cfg[key] for key in keys}))
    if cfg.track is None:
        raise UserError("track is null, but a video needs to know who is who; set track.overlap and track.gap instead")


def on_screens(cfg: DictConfig, source: Path, out: Path, about: dict[str, str]) -> Path:
    """Where on the screen the user of each picture looks."""
    from gaze.devices import find_device, load_devices
    from gaze.inference.opening import open_screen_predictor
    from gaze.inference.screen_sources import open_crops
    from gaze.inference.screens import Held, predict_dataset, predict_pictures
    from gaze.runs import build, plain_config

    devices = load_devices(cfg.devices)
    held = Held(None if cfg.device is None else find_device(cfg.device, devices), cfg.orientation)
    predictor = open_screen_predictor(cfg.run, build(cfg.hardware), cfg.amp, cfg.trust, cfg.calibration)
    chosen = None if cfg.dataset is None else plain_config(cfg.dataset)
    data = open_crops(source, cfg.split, predictor.views, chosen, cfg.run)
    if data is not None:
        return predict_dataset(predictor, data, source, out, about, cfg.batch_size)

    def landmarker(video: bool) -> Any:
        return build(OmegaConf.create({**plain_config(cfg.landmarker), "video": video}))

    return predict_pictures(predictor, landmarker, source, out, about, held, cfg.batch_size, cfg.every)


def in_hydras_words(arguments: Sequence[str]) -> list[str]:
    """`--heads X` becomes `heads=X`, and X is quoted: Hydra takes commas, blanks and brackets for its own."""
    words: list[str] = []
    given = iter(arguments)
    for word in given:
        if word in OPTIONS:
            word = f"{word}={next(given, '')}"
        if word.startswith(tuple(f"{option}=" for option in OPTIONS)):
            word = word[2:]
        words.append(quoted(word, TEXTS, as_is="'\"["))
    return words


if __name__ == "__main__":
    sys.argv[1:] = in_hydras_words(sys.argv[1:])
    main()
