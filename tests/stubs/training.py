"""Makes a trainer of the straight line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.log import Log
from gaze.hardware import Hardware
from gaze.losses.objective import Objective
from gaze.optimizers import grouped
from gaze.runs import Run
from gaze.schedules import Cosine
from gaze.trainer import Trainer
from tests.stubs.line import Line, Net, Seen, Squared


def line_trainer(path: Path, callbacks: dict[str, Any] | None = None, workers: int = 0, **changes: Any) -> Trainer:
    """A trainer of a few dozen steps in `path`; `changes` replace its arguments."""
    hardware = changes.pop("hardware", None) or Hardware(device="cpu", workers=workers)
    torch.manual_seed(0)
    model = changes.pop("model", None) or Net()
    lr = changes.pop("lr", 0.02)
    settings: dict[str, Any] = {
        "run": Run(path, main=hardware.main),
        "hardware": hardware,
        "seed": 3,
        "model": model,
        "objective": Objective({"squared": Squared()}),
        "metrics": {"seen": Seen()},
        "optimizer": grouped(model, lambda groups: torch.optim.AdamW(groups, lr=lr)),
        "schedule": {"lr": Cosine(warmup_epochs=0.5)},
        "train_set": Line("train"),
        "val_set": Line("val", samples=17),
        "callbacks": callbacks or {"log": Log(every_steps=3), "checkpoint": Checkpoint(every_steps=1)},
        "epochs": 4,
        "batch_size": 8,
        "monitor": "mae",
    }
    path.mkdir(parents=True, exist_ok=True)
    return Trainer(**(settings | changes))
