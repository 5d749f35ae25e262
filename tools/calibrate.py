"""Calibrates people on dots they looked at:  python tools/calibrate.py run=outputs/pog_tiny/... data=..."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="calibrate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Write a calibration for each person, all points before and after, and the error against the number of points."""
    from gaze.calibration.calibrated import fingerprint
    from gaze.calibration.calibrating import calibrate_people
    from gaze.calibration.curve import curve, write_curve
    from gaze.calibration.people import Predictions, people_in, with_dots
    from gaze.calibration.reports import write_people, write_points
    from gaze.errors import UserError
    from gaze.runs import check, chosen
    from gaze.screens.table import read_predictions

    if (cfg.run is None) == (cfg.predictions is None):
        found = "neither run nor predictions is given" if cfg.run is None else "both run and predictions are given"
        raise UserError(f"{found}; give run=DIR data=..., or predictions=predictions.csv")
    check(OmegaConf.create({"calibrator": cfg.calibrator}))
    methods = chosen(cfg, "calibrator")
    predictions = Predictions(read_predictions(cfg.predictions)) if cfg.run is None else predicted(cfg)
    people = people_in(predictions, cfg.people)
    if cfg.dots is not None:
        people = {name: with_dots(person, cfg.dots, cfg.seed) for name, person in people.items()}
    about = {} if cfg.run is None else {"run": str(cfg.run), "fingerprint": fingerprint(cfg.run)}
    found = calibrate_people(people, methods, cfg.method, about)
    out = Path(cfg.out or Path(cfg.predictions or Path(cfg.run) / "run").parent / "calibration")
    write_people(found, out)
    write_points(predictions.table, people, found, out, {"split": cfg.split, **about}, cfg.resamples, cfg.seed)
    if cfg.draws:
        frames = {name: person.frames for name, person in people.items()}
        write_curve(curve(frames, methods, points=list(cfg.points), draws=cfg.draws, seed=cfg.seed), out)
    print(f"written to {out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


def predicted(cfg: DictConfig):  # type: ignore[no-untyped-def]
    """What the run's model says of the frames."""
    from gaze.calibration.people import predict
    from gaze.run_data import dataset_node
    from gaze.runs import build, check, load_config, load_model, plain_config
    from gaze.screens.evaluation import training_labels

    own, other = load_config(cfg.run).get("dataset"), cfg.dataset
    node = dataset_node(own and plain_config(own), other and plain_config(other), cfg.data)
    nodes = OmegaConf.create({"dataset": node})
    check(nodes)
    open_split, hardware = build(nodes.dataset), build(cfg.hardware)
    train_labels = training_labels(open_split) if cfg.baselines else None
    return predict(load_model(cfg.run), open_split(split=cfg.split), hardware, train_labels, cfg.batch_size, cfg.amp)


if __name__ == "__main__":
    main()
