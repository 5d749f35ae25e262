"""Calibrates people on dots they looked at:  python tools/calibrate.py run=outputs/pog_tiny/... data=..."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="calibrate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Write a calibration for each person and the error against the number of points; print before and after."""
    from gaze.calibration.calibration import calibrate
    from gaze.calibration.curve import curve, write_curve
    from gaze.calibration.held_out import compare
    from gaze.calibration.people import Predictions, people_in
    from gaze.calibration.reports import fingerprint, print_comparisons
    from gaze.errors import UserError
    from gaze.screens.table import read_predictions

    if cfg.run is None and cfg.predictions is None:
        raise UserError("neither run nor predictions is given; give run=DIR data=..., or predictions=predictions.csv")
    predictions = Predictions(read_predictions(cfg.predictions)) if cfg.predictions is not None else predicted(cfg)
    out = Path(cfg.out or Path(cfg.predictions or Path(cfg.run) / "run").parent / "calibration")
    about = {"run": str(cfg.run or ""), "fingerprint": fingerprint(cfg.run) if cfg.run is not None else ""}
    people = people_in(predictions)
    (out / "people").mkdir(parents=True, exist_ok=True)
    compared = {}
    for name, (frames, meant) in people.items():
        dots, compared[name] = compare(frames, meant, cfg.method)
        made = calibrate(dots, cfg.method, about | {"subject": name})
        made.write(out / "people" / f"{quote(name, safe='') or 'unnamed'}.json")
        for warning in made.warnings:
            print(f"{name}: {warning}")
    print_comparisons(compared)
    if cfg.draws:
        all_frames = {name: frames for name, (frames, _) in people.items()}
        write_curve(curve(all_frames, points=list(cfg.points), draws=cfg.draws, seed=cfg.seed), out)
    print(f"written to {out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


def predicted(cfg: DictConfig):  # type: ignore[no-untyped-def]
    """What the run's model says of the frames."""
    from gaze.calibration.people import predict_with_features
    from gaze.runs import build, check, load_config, load_model, plain_config

    config = load_config(cfg.run)
    nodes = OmegaConf.create({"dataset": plain_config(cfg.dataset or config.dataset)})
    if HydraConfig.get().runtime.choices.dataset:
        # Another data set must give the samples as the run's own did.
        for name in ("streams", "face_size", "eye_size", "landmarks"):
            if name in nodes.dataset and OmegaConf.select(config, f"dataset.{name}") is not None:
                nodes.dataset[name] = config.dataset[name]
    if cfg.data is not None:
        nodes.dataset.root = cfg.data
    check(nodes)
    data = build(nodes.dataset)(split=cfg.split)
    return predict_with_features(load_model(cfg.run), data, build(cfg.hardware), cfg.batch_size, cfg.amp)


if __name__ == "__main__":
    main()
