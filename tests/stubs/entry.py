"""The entry as a user meets it, at a size at which a run takes a second."""

from __future__ import annotations

import os
from pathlib import Path

from tests.processes import Command

SMALL_BACKBONE = (
    "backbone=conv_vit",
    "backbone.stem=[4,4,8]",
    "backbone.width=8",
    "backbone.depth=1",
    "backbone.heads=1",
)
SMALL_HEAD = ("head.width=8", "head.heads=1", "head.layers=1")
SMALL_RUN = ("trainer.batch_size=4", "trainer.epochs=1", "logger=none", "hardware=cpu", "hardware.workers=0")
TOY = ("model=gazelle_small", "dataset.root=data", *SMALL_BACKBONE, *SMALL_HEAD, *SMALL_RUN)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


def start(directory: Path, *arguments: str) -> Command:
    """A process of its own that trains in `directory`."""
    return Command(directory, "gaze.train", *arguments)
