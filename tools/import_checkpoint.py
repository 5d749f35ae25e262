"""Makes a run of a published checkpoint:  python tools/import_checkpoint.py source=FILE model=gazelle_dinov2_vitb14_inout"""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="import_checkpoint", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Compose the model's training config, fill the model from the file, and write both as a run directory."""
    from gaze.published import import_checkpoint

    source = Path(cfg.source)
    out = Path(cfg.out or Path("outputs", cfg.name, f"imported_{source.stem}"))
    overrides = [f"model={cfg.name}"]
    print(import_checkpoint(source, hydra.compose("train", overrides), overrides, out, cfg.backbone.weights))


if __name__ == "__main__":
    # To Hydra, model= chooses a file of the group; here it is the name of one, composed apart.
    sys.argv[1:] = [f"name={word[6:]}" if word.startswith("model=") else word for word in sys.argv[1:]]
    main()
