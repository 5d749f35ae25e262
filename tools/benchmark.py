"""Times us against the published way of doing the same, in one run:  python tools/benchmark.py --quick"""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig

from gaze.explain import explained
from gaze.trusted import TRUSTED

PRESETS = {f"--{name}": f"benchmark={name}" for name in ("quick", "full", "gpu")}


@hydra.main(config_path="pkg://gaze.conf", config_name="benchmark", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Measure what the machine can do, run the workloads, and keep rows, tables and pictures."""
    from gaze.benchmark.command import measure

    measure(cfg)


if __name__ == "__main__":
    sys.argv[1:] = [PRESETS.get(word, word) for word in sys.argv[1:]]
    main()
