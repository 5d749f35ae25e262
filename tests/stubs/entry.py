"""The entry as a user meets it, at a size at which a run takes a second."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def start(directory: Path, *arguments: str, replicas: int = 1) -> subprocess.Popen[str]:
    """A process of its own that trains in `directory`, in a group of its own as a shell would make it.

    With several replicas it is torchrun's.
    """
    torchrun = (
        ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(replicas)) if replicas > 1 else ()
    )
    return subprocess.Popen(
        [sys.executable, *torchrun, "-m", "gaze.train", *arguments],
        cwd=directory,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
