"""What each replica does in the tests: trains the straight line, thawing a block on the way, and writes what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.unfreeze import Unfreeze
from gaze.hardware import Hardware
from tests.stubs.line import Net
from tests.stubs.training import line_trainer


def settings(batch_size: int) -> dict[str, Any]:
    """Arguments of the run. Without batch norm and dropout, which know only their replica's samples."""
    torch.manual_seed(0)
    model = Net(dropout=0.0)
    for layer in model.backbone.layers:
        layer[0] = nn.Identity()
    callbacks = {"unfreeze": Unfreeze(first=1, hold_epochs=1, every_epochs=1), "checkpoint": Checkpoint()}
    return {"model": model, "callbacks": callbacks, "batch_size": batch_size, "accumulate": 2, "epochs": 3}


def main(directory: Path) -> None:
    """Train as one of several replicas."""
    torch.set_num_threads(1)
    hardware = Hardware(device="cpu", distributed=True, workers=0)
    hardware.same("seed", ["0"])
    trainer = line_trainer(directory / "run", hardware=hardware, **settings(batch_size=4))
    validated = trainer.fit()
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).tolist()
    facts = {"weights": weights, "validated": validated, "open": trainer.callbacks["unfreeze"].open}
    (directory / f"replica-{hardware.rank}.json").write_text(json.dumps(facts))
    hardware.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
