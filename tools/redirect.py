"""Redirects a head: other gazes and poses as pictures, a film, faces to train on:  python tools/redirect.py run=... source=..."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.hydra_words import quoted
from gaze.trusted import TRUSTED

TEXTS = ("run", "source", "root", "out", "export.filter.run")


@hydra.main(config_path="pkg://gaze.conf", config_name="redirect", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Open a run and its data set, and make what is asked for."""
    from gaze.redirection.making import Asked, redirect
    from gaze.run_data import dataset_node
    from gaze.runs import build, check, load_config, plain_config

    asked = Asked.of(plain_config(cfg))
    config = load_config(cfg.run)
    chosen_set = cfg.dataset and plain_config(cfg.dataset)
    node = OmegaConf.create({"dataset": dataset_node(plain_config(config.dataset), chosen_set, cfg.root)})
    check(node)
    check(OmegaConf.create({"limits_deg": cfg.limits_deg, "draws": cfg.export.draws}))
    out = Path(cfg.out) if cfg.out is not None else Path("outputs", "redirected", name_of(str(cfg.source), cfg.split))
    parts = build(cfg.limits_deg), build(cfg.export.draws), build(cfg.hardware)
    own = cfg.dataset is None and cfg.root is None
    print(redirect(asked, build(node.dataset), out, *parts, own))


def name_of(source: str, split: str) -> str:
    """What to call the folder of a source."""
    file, _, row = source.rpartition("#")
    return f"{Path(file).stem}_{row}" if file else f"{split}_{source}"


def in_hydras_words(arguments: Sequence[str]) -> list[str]:
    """Paths in quotes: Hydra takes commas, blanks and brackets in them for its own."""
    return [quoted(word, TEXTS) for word in arguments]


if __name__ == "__main__":
    sys.argv[1:] = in_hydras_words(sys.argv[1:])
    main()
