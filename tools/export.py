"""Exports a scene model:  python tools/export.py run=outputs/gazelle_small/... [format=onnx|pt2] [names=gaze|pinto]"""

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
    print(f"{done.facts.inputs}; H x W is {done.facts.image_size[0]} x {done.facts.image_size[1]}")
    print(f"largest difference from PyTorch: {done.difference:.1e} in a probability (allowed: {cfg.tolerance:.1e})")
    for latency in done.latencies:
        people = "1 person" if latency.people == 1 else f"{latency.people} people"
        print(
            f"1 image, {people}, 1 CPU thread: {latency.exported_ms:.1f} ms; PyTorch {latency.torch_ms:.1f} ms "
            "(medians)"
        )
    print(f"written to {done.path} ({done.path.stat().st_size / 2**20:.1f} MiB)")


if __name__ == "__main__":
    main()
