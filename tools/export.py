"""Exports a run's model:  python tools/export.py run=outputs/pog_tiny/... [format=onnx|pt2|torchscript|coreml]"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained
from gaze.trusted import TRUSTED

EXPORT = "gaze.export.exporter.export"


@hydra.main(config_path="pkg://gaze.conf", config_name="export", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Write the file, and say how far it is from PyTorch and how fast it is."""
    from gaze.export.exporter import export
    from gaze.runs import check, plain_config

    settings = plain_config(cfg)
    check(OmegaConf.create({"_target_": EXPORT} | settings), (EXPORT,))
    done = export(**settings)
    print("\n".join(done.report()))


if __name__ == "__main__":
    main()
