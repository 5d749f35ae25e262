"""Shows where people look, in photographs, videos and on screens:  python tools/predict.py run=... source=... [--heads ...]"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED

TEXTS = ("run", "source", "heads", "out", "detector.model", "landmarker.model", "calibration", "devices")
OPTIONS = ("--source", "--heads", "--out")


@hydra.main(config_path="pkg://gaze.conf", config_name="predict", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Load the model of a run or a file, and predict on images, a video or prepared crops."""
    from gaze.inference.opening import takes_screens

    source = Path(cfg.source)
    name = source.resolve().name if source.is_dir() else source.stem
    out = Path(cfg.out) if cfg.out is not None else Path("outputs", "predictions", name)
    about = {"run": str(cfg.run), "source": str(source)}
    print((on_screens if takes_screens(cfg.run) else in_scenes)(cfg, source, out, about))


def in_scenes(cfg: DictConfig, source: Path, out: Path, about: dict[str, str]) -> Path:
    """Where the people in pictures look."""
    from gaze.errors import UserError
    from gaze.inference.heads import choose_heads
    from gaze.inference.images import predict_images
    from gaze.inference.opening import open_predictor
    from gaze.inference.tables import check_formats
    from gaze.inference.video import is_video, predict_video
    from gaze.runs import build, check

    boxes = OmegaConf.to_container(cfg.heads) if OmegaConf.is_config(cfg.heads) else cfg.heads
    heads = choose_heads(boxes, lambda: build(cfg.detector))
    video = OmegaConf.create({"track": cfg.track, "smooth": cfg.smooth})
    check(video)
    if cfg.track is None:
        raise UserError("track is null, but a video needs to know who is who; set track.overlap and track.gap instead")
    tracker, smooth, tables = build(video.track), build(video.smooth), check_formats(cfg.tables)
    predictor = open_predictor(cfg.run, build(cfg.hardware), cfg.amp, cfg.trust)
    if is_video(source):
        return predict_video(predictor, heads, source, out, about, cfg.every, cfg.batch_size, tracker, smooth, tables)
    return predict_images(predictor, heads, source, out, about, cfg.batch_size)


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
        key, _, value = word.partition("=")
        if key in TEXTS and value and value != "null" and value[0] not in "'\"[":
            value = value.replace("'", "\\'")
            word = f"{key}='{value}'"
        words.append(word)
    return words


if __name__ == "__main__":
    sys.argv[1:] = in_hydras_words(sys.argv[1:])
    main()
