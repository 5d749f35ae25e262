"""Evaluates a run on a split:  python tools/evaluate.py run=outputs/gazelle_small/... split=test"""

from __future__ import annotations

import json
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="evaluate", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Print a table of figures and write it as JSON."""
    from gaze.comparison import compare, table
    from gaze.runs import build, check, chosen, load_config, load_model, write_text

    config = load_config(cfg.run)
    nodes = OmegaConf.create({"dataset": cfg.dataset or config.dataset, "metric": cfg.metric or config.metric})
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
    out = Path(cfg.out or Path(cfg.run) / f"evaluation_{cfg.split}.json")
    write_text(out, json.dumps({"run": cfg.run, "split": cfg.split, "figures": figures}, indent=2))
    table(figures, f"{cfg.split} split")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
