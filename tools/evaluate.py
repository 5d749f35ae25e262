"""Evaluates a run on a split:  python tools/evaluate.py run=outputs/gazelle_small/... split=test"""

from __future__ import annotations

import json
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="evaluate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Print a table of figures and write it as JSON."""
    from gaze.comparison import compare, table
    from gaze.runs import build, check, chosen, load_config, load_model, plain_config, write_text

    config = load_config(cfg.run)
    other = HydraConfig.get().runtime.choices.dataset  # the name of another data set than the run's own
    groups = {"dataset": cfg.dataset or config.dataset, "metric": cfg.metric or config.metric}
    nodes = OmegaConf.create({name: plain_config(node) for name, node in groups.items()})
    # A data set's file has the picture size of some model; this run's model was trained on its own.
    size = cfg.image_size or OmegaConf.select(config, "dataset.image_size")
    if size is not None and (cfg.image_size or "image_size" in nodes.dataset):
        nodes.dataset.image_size = size
    check(nodes)
    figures = compare(
        name=config.get("name", "model"),
        model=load_model(cfg.run),
        dataset=build(nodes.dataset),
        metrics=chosen(nodes, "metric"),
        hardware=build(cfg.hardware),
        split=cfg.split,
        baselines=cfg.baselines,
        batch_size=cfg.batch_size,
        amp=cfg.amp,
    )
    title = f"{other}_{cfg.split}" if other else cfg.split
    out = Path(cfg.out or Path(cfg.run) / f"evaluation_{title}.json")
    about = {"run": cfg.run, "split": cfg.split, "dataset": plain_config(nodes.dataset)}
    write_text(out, json.dumps(about | {"figures": figures}, indent=2))
    table(figures, f"{other or 'its own data set'}, {cfg.split} split")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
