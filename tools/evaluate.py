"""Evaluates a run on a split, or a sweep that left people out:  python tools/evaluate.py run=outputs/gazelle_small/..."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gaze.errors import UserError
from gaze.explain import explained
from gaze.trusted import TRUSTED

# What the folder of a sweep cannot be asked: each run is evaluated on what it left out, as it was trained.
IDLE = {"dataset": None, "metric": None, "split": "test", "subsets": None, "failures": None, "image_size": None}


@hydra.main(config_path="pkg://gaze.conf", config_name="evaluate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Print tables of figures; write them as JSON, every head as a table, and the worst heads as a picture."""
    from gaze.breakdown import as_dicts, break_down
    from gaze.comparison import about_scenes, compare, scene_baselines
    from gaze.details import choose_details
    from gaze.directions import evaluation as directions
    from gaze.directions.submission import submit, without_labels
    from gaze.directions.table import holds_directions
    from gaze.directions.table import read_predictions as read_directions
    from gaze.durable import write_text
    from gaze.environment import environment
    from gaze.evaluation import on_batches
    from gaze.folds import evaluate_folds
    from gaze.head_records import head_table, write_table
    from gaze.pictures.failures import failure_sheet
    from gaze.pictures.sheet import save_picture
    from gaze.redirection import evaluation as heads
    from gaze.redirection.reports import report as report_heads
    from gaze.run_data import dataset_node
    from gaze.runs import build, check, chosen, load_config, load_model, plain_config
    from gaze.screens import evaluation as screens
    from gaze.screens.table import read_predictions as read_points
    from gaze.tables import figure_table, part_table

    if cfg.predictions is not None:
        folder = Path(cfg.out or Path(cfg.predictions).parent)
        again, read = (directions, read_directions) if holds_directions(cfg.predictions) else (screens, read_points)
        again.report_again(read(cfg.predictions), folder, cfg.resamples, cfg.seed)
        return
    if list(Path(cfg.run).glob("*/config.yaml")):
        refuse(cfg, IDLE)
        folds_out = None if cfg.out is None else Path(cfg.out)
        evaluate_folds(
            Path(cfg.run), build(cfg.hardware), cfg.batch_size, cfg.amp, cfg.resamples, cfg.seed, folds_out, cfg.root
        )
        return
    config = load_config(cfg.run)
    other = HydraConfig.get().runtime.choices.dataset  # the name of another data set than the run's own
    own, chosen_set = plain_config(config.dataset), cfg.dataset and plain_config(cfg.dataset)
    groups = {"metric": plain_config(cfg.metric or config.metric)}
    groups["more"] = plain_config(cfg.scene_metric) if cfg.metric is None else {}
    nodes = OmegaConf.create(groups | {"dataset": dataset_node(own, chosen_set, cfg.root)})
    # A data set's file has the picture size of some model; this run's model was trained on its own.
    size = cfg.image_size or OmegaConf.select(config, "dataset.image_size")
    if size is not None and (cfg.image_size or "image_size" in nodes.dataset):
        nodes.dataset.image_size = size
    check(nodes)
    title = f"{other}_{cfg.split}" if other else cfg.split
    out = Path(cfg.out or Path(cfg.run) / f"evaluation_{title}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    open_split, metrics, hardware = build(nodes.dataset), chosen(nodes, "metric"), build(cfg.hardware)
    name, model, test_set = config.get("name", "model"), load_model(cfg.run), open_split(split=cfg.split)
    about_split = {
        "split": cfg.split,
        "model": name,
        "commit": environment()["git"].get("commit", ""),
        "dataset": other or "its own",
    }
    folder = Path(cfg.out or out.with_suffix(""))
    if screens.about_screens(test_set):
        train_labels = screens.training_labels(open_split) if cfg.baselines else None
        table = screens.predictions(model, test_set, train_labels, hardware, cfg.batch_size, cfg.amp)
        screens.report(table, folder, about_split, cfg.resamples, cfg.seed)
        return
    if without_labels(test_set):
        submit(model, test_set, folder, hardware, cfg.batch_size, cfg.amp)
        return
    if directions.about_directions(test_set):
        # What calibrates and competes is what the model was trained on, whatever it is evaluated on
        own_split = build(OmegaConf.create(own)) if other else open_split
        how = (hardware, cfg.batch_size, cfg.amp, cfg.baselines)
        table, loads = directions.predictions(model, test_set, own_split, *how)
        directions.report(table, folder, about_split, cfg.resamples, cfg.seed, loads)
        return
    if heads.about_heads(test_set):
        own_split = build(OmegaConf.create(own)) if other else open_split
        how_told = {key: plain_config(cfg[key]) for key in ("estimators", "redirection")}
        told_by = (name, str(cfg.run), model, test_set, own_split, how_told, hardware, cfg.amp, cfg.baselines)
        found = heads.evaluate_heads(*told_by)
        report_heads(found, model, test_set, hardware, folder, about_split, cfg.resamples, cfg.seed)
        return
    if about_scenes(test_set):
        metrics = chosen(nodes, "more") | metrics
    if other and cfg.metric is None:
        print(f"the metrics are those of the run, {', '.join(config.metric)}; choose others with 'metric=[...]'")
    details = choose_details(test_set, metrics, cfg.subsets, cfg.failures, cfg.resamples)
    models = {name: model} | (scene_baselines(open_split(split="train")) if cfg.baselines else {})

    compared = compare(models, test_set, metrics, hardware, cfg.batch_size, cfg.amp)
    broken_down = {
        title: break_down(
            records, compared.figures[title], details.subsets, details.resamples, cfg.seed, test_set.group
        )
        for title, records in compared.records.items()
    }
    about = {"run": cfg.run, "split": cfg.split, "dataset": plain_config(nodes.dataset)}
    about |= {"resamples": details.resamples, "seed": cfg.seed} if broken_down else {}
    write_text(out, json.dumps(about | {"figures": compared.figures} | as_dicts(broken_down), indent=2))
    written = [out]
    label = out.stem.removeprefix("evaluation_")
    if compared.records:
        written.append(out.with_name(f"heads_{label}.parquet"))
        write_table(head_table(compared.records, test_set.name), written[-1])
    if details.failures:
        predict = on_batches(model, hardware, cfg.amp)
        picture = failure_sheet(test_set, compared.records[name], predict, details.failures)
        if picture is not None:
            written.append(out.with_name(f"failures_{label}.png"))
            save_picture(picture, written[-1])
    where = f"{other or 'its own data set'}, {cfg.split} split"
    figure_table(compared.figures, where, {title: found.intervals for title, found in broken_down.items()})
    if details.subsets:
        part_table(
            broken_down[name].parts, f"{name} on {where}, part by part; sizes and distances in fractions of the picture"
        )
    print("written to " + ", ".join(map(str, written)))


def refuse(cfg: DictConfig, idle: Mapping[str, object]) -> None:
    """Say which settings would have no effect.

    Args:
        idle: their names and the values that they have where nobody sets them.
    """
    told = [name for name, unset in idle.items() if cfg[name] != unset]
    if told or not cfg.baselines:
        raise UserError(
            f"{cfg.run} holds several runs, each of which is evaluated on what it left out: {', '.join(told) or 'baselines'} "
            "can't be set; leave it out, or give one of the runs"
        )


if __name__ == "__main__":
    main()
