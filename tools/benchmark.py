"""Times us against the published way of doing the same, in one run:  python tools/benchmark.py"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="benchmark", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Run the workloads, print a table as it fills, and append its rows to a file."""
    from gaze.benchmark.suite import run, workloads
    from gaze.hardware import Hardware
    from gaze.models.gazelle import GazeLLE
    from gaze.runs import build

    hardware = Hardware(device=cfg.device, workers=0, threads=cfg.threads)
    size = (cfg.image_size[0], cfg.image_size[1])
    suite = workloads(
        lambda: GazeLLE(build(cfg.backbone), build(cfg.head)),
        size,
        list(cfg.persons),
        hardware,
        cfg.rounds,
        cfg.samples,
    )
    run(suite, list(cfg.only), cfg.out, hardware)


if __name__ == "__main__":
    main()
