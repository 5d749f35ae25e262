"""Shows where people look:  python tools/predict.py run=outputs/... source=photo.jpg --heads 0.1,0.2,0.3,0.4"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED

TEXTS = ("run", "source", "heads", "out", "detector.model")
OPTIONS = ("--source", "--heads", "--out")


@hydra.main(config_path="pkg://gaze.conf", config_name="predict", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Find the heads, load the run's model, and predict on images or on a video."""
    from gaze.errors import UserError
    from gaze.inference.heads import choose_heads
    from gaze.inference.images import predict_images
    from gaze.inference.opening import open_predictor
    from gaze.inference.tables import check_formats
    from gaze.inference.video import is_video, predict_video
    from gaze.runs import build, check

    source = Path(cfg.source)
    name = source.resolve().name if source.is_dir() else source.stem
    out = Path(cfg.out) if cfg.out is not None else Path("outputs", "predictions", name)
    boxes = OmegaConf.to_container(cfg.heads) if OmegaConf.is_config(cfg.heads) else cfg.heads
    heads = choose_heads(boxes, lambda: build(cfg.detector))
    video = OmegaConf.create({"track": cfg.track, "smooth": cfg.smooth})
    check(video)
    if cfg.track is None:
        raise UserError("track is null, but a video needs to know who is who; set track.overlap and track.gap instead")
    tracker, smooth, tables = build(video.track), build(video.smooth), check_formats(cfg.tables)
    predictor = open_predictor(cfg.run, build(cfg.hardware), cfg.amp, cfg.trust)
    about = {"run": str(cfg.run), "source": str(source)}
    if is_video(source):
        results = predict_video(
            predictor, heads, source, out, about, cfg.every, cfg.batch_size, tracker, smooth, tables
        )
    else:
        results = predict_images(predictor, heads, source, out, about, cfg.batch_size)
    print(results)


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
