"""A trial that does nothing for a second, for `gaze.benchmark.sweep_speed`; its config is written there."""

from __future__ import annotations

import time

import hydra
from omegaconf import DictConfig

import gaze.train  # noqa: F401  (makes our sweeper known to Hydra)
from gaze.trusted import TRUSTED


@hydra.main(config_path=None, execution_whitelist=[*TRUSTED, "hydra.*", "hydra_plugins.*"])
def main(cfg: DictConfig) -> float:
    """Sleep, and return something to minimise."""
    time.sleep(cfg.seconds)
    return float((cfg.x - 0.3) ** 2)


if __name__ == "__main__":
    main()
