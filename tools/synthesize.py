"""Writes a synthetic data set:  python tools/synthesize.py world=scene out=data/scenes size=448 difficulty=0.5"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig, OmegaConf

from gaze.explain import explained


@hydra.main(config_path="pkg://gaze.conf", config_name="synthesize", execution_whitelist=["gaze.synthesis.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Build the world and write it."""
    from hydra.utils import instantiate

    from gaze.errors import UserError
    from gaze.signatures import problems
    from gaze.synthesis.progress import progress_bar

    found = list(problems(OmegaConf.to_container(cfg.world, resolve=True), "world"))
    if found:
        raise UserError("; ".join(found))
    world, write = instantiate(cfg.world, _convert_="object"), instantiate(cfg.layout)
    counts = {split: cfg[split] for split in ("train", "val", "test")}
    with progress_bar("images") as progress:
        written = write(world, cfg.out, counts, cfg.seed, cfg.workers, cfg.annotators, cfg.overwrite, progress)
    print(f"{cfg.out}: {'written' if written else 'is there already, nothing to do'}")


if __name__ == "__main__":
    main()
