"""Calibrates people on dots they looked at:  python tools/calibrate.py run=outputs/pog_tiny/... data=..."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED

OF_POINTS = ("people", "method", "dots")  # what directions have no use for


@hydra.main(config_path="pkg://gaze.conf", config_name="calibrate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Write a calibration for each person, all points before and after, and the error against the number of points.

    Of directions of gaze, the last of these alone.
    """
    from gaze.calibration.calibrated import fingerprint
    from gaze.calibration.calibrating import calibrate_people
    from gaze.calibration.curve import curve, write_curve
    from gaze.calibration.people import Predictions, people_in, with_dots
    from gaze.calibration.reports import write_people, write_points
    from gaze.directions.evaluation import about_directions
    from gaze.directions.table import holds_directions
    from gaze.errors import UserError
    from gaze.runs import check, chosen
    from gaze.screens.table import read_predictions

    if (cfg.run is None) == (cfg.predictions is None):
        found = "neither run nor predictions is given" if cfg.run is None else "both run and predictions are given"
        raise UserError(f"{found}; give run=DIR data=..., or predictions=predictions.csv")
    check(OmegaConf.create({"calibrator": cfg.calibrator}))
    methods = chosen(cfg, "calibrator")
    out = Path(cfg.out or Path(cfg.predictions or Path(cfg.run) / "run").parent / "calibration")
    opened = None if cfg.run is None else opener(cfg)
    data = None if opened is None else opened(split=cfg.split)
    if holds_directions(cfg.predictions) if data is None else about_directions(data):
        of_directions(cfg, methods, data, out)
        return
    predictions = Predictions(read_predictions(cfg.predictions)) if data is None else predicted(cfg, opened, data)
    people = people_in(predictions, cfg.people)
    if cfg.dots is not None:
        people = {name: with_dots(person, cfg.dots, cfg.seed) for name, person in people.items()}
    about = {} if cfg.run is None else {"run": str(cfg.run), "fingerprint": fingerprint(cfg.run)}
    found = calibrate_people(people, methods, cfg.method, about)
    write_people(found, out)
    write_points(predictions.table, people, found, out, {"split": cfg.split, **about}, cfg.resamples, cfg.seed)
    if cfg.draws:
        frames = {name: person.frames for name, person in people.items()}
        write_curve(curve(frames, methods, points=list(cfg.points), draws=cfg.draws, seed=cfg.seed), out)
    print(f"written to {out}: {', '.join(sorted(file.name for file in out.iterdir()))}")


def of_directions(cfg: DictConfig, methods, data, out: Path) -> None:  # type: ignore[no-untyped-def]
    """Write and print the error of directions against the number of samples.

    Args:
        data: what the run is asked about; None: it was, and the predictions are there.
    """
    from gaze.directions.calibration import direction_curve
    from gaze.directions.evaluation import observe
    from gaze.directions.table import read_predictions, rows_in
    from gaze.errors import UserError
    from gaze.runs import build, load_model
    from gaze.screens.table import write_csv
    from gaze.tables import plain_table

    told = [name for name in OF_POINTS if cfg[name] is not None]
    if told or not cfg.draws:
        raise UserError(
            f"{', '.join(told) or 'draws=0'} leaves nothing to do for directions, of which there is a curve for all people "
            "alone; leave it out, and choose methods by 'calibrator=[offset,affine_ridge]'"
        )
    if data is None:
        rows = rows_in(read_predictions(cfg.predictions))
    else:
        rows = observe(load_model(cfg.run), data, build(cfg.hardware), cfg.batch_size, cfg.amp).rows
    table = direction_curve(rows, methods, list(cfg.points), cfg.draws, cfg.seed)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(table, out / "calibration_curve.csv")
    plain_table(table, "mean error after calibration with some samples of each person, degrees")
    print(f"written to {out}: calibration_curve.csv")


def opener(cfg: DictConfig):  # type: ignore[no-untyped-def]
    """What opens splits of the people's data set."""
    from gaze.run_data import dataset_node
    from gaze.runs import build, check, load_config, plain_config

    own, other = load_config(cfg.run).get("dataset"), cfg.dataset
    node = dataset_node(own and plain_config(own), other and plain_config(other), cfg.data)
    nodes = OmegaConf.create({"dataset": node})
    check(nodes)
    return build(nodes.dataset)


def predicted(cfg: DictConfig, open_split, data):  # type: ignore[no-untyped-def]
    """What the run's model says of the frames."""
    from gaze.calibration.people import predict
    from gaze.runs import build, load_model
    from gaze.screens.evaluation import training_labels

    train_labels = training_labels(open_split) if cfg.baselines else None
    return predict(load_model(cfg.run), data, build(cfg.hardware), train_labels, cfg.batch_size, cfg.amp)


if __name__ == "__main__":
    main()
