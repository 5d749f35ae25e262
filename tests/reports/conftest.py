"""Run directories without a trainer."""

from __future__ import annotations

from pathlib import Path

import yaml

from gaze.journal import Journal

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


def make(directory: Path, lr: float, final: float, mode: str = "minimize", **config: object) -> Path:
    """A run of three epochs."""
    directory.mkdir(parents=True)
    plain = {"name": "toy", "model": {"width": 8}, "optimizer": {"lr": lr}, "dir": str(directory), **config}
    plain["trainer"] = {"monitor": "min_l2", "mode": mode, "epochs": 3}
    (directory / "config.yaml").write_text(yaml.safe_dump(plain))
    for step in range(3):
        Journal(directory).write(step, {"train/loss": 1.0 / (step + 1), "val/min_l2": final + 2 - step})
    (directory / "pictures").mkdir()
    (directory / "pictures" / "<a>.png").write_bytes(PIXEL)
    return directory
