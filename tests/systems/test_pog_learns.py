"""Point of gaze is learned, end to end: rendered users on disk, the loop, people who were never seen."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from gaze.backbones.conv_tower import ConvTower
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.target_statistics import TargetStatistics
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_augment import Flip
from gaze.fusions.pooled import Pooled
from gaze.hardware import Hardware
from gaze.heads.point import PointHead
from gaze.losses.objective import Objective
from gaze.losses.point import PointSmoothL1
from gaze.metrics.point_error import PointError
from gaze.models.screen import ScreenModel
from gaze.optimizers import grouped
from gaze.runs import Run
from gaze.schedules import Linear
from gaze.screens.baselines import baseline_points
from gaze.synthesis.screen_world import ScreenWorld
from gaze.synthesis.screens import write_screens
from gaze.trainer import Trainer
from tests.processes import exit_code

SIZE = 32  # px


@pytest.mark.slow
def test_it_sees_where_strangers_look_better_than_guesses_that_see_no_eye(tmp_path):
    """The reference's gate for continuous integration: 30 people of 60 frames, 32 px, 280 steps."""
    # In a process of its own, where shapes are not checked: a million of checks take longer than learning.
    assert exit_code(learn, tmp_path) == 0
    error = json.loads((tmp_path / "errors_cm.json").read_text())
    assert error["model"] < 0.55 * error["train mean"], error
    assert error["model"] < 0.9 * error["screen centre"], error
    assert error["model"] < 0.9 * error["linear on boxes"], error


def learn(folder: Path) -> None:
    """Render people, train, and write down the mean errors on those of the validation split."""
    torch.set_num_threads(1)
    world = ScreenWorld(face_size=SIZE, eye_size=SIZE, frames={"train": 60, "val": 25, "test": 1})
    write_screens(world, folder / "screens", {"train": 30, "val": 8, "test": 0})
    opened = partial(ScreenDataset, str(folder / "screens"), face_size=SIZE, eye_size=SIZE)
    train_set, val_set = opened(split="train", augmentations=[Flip()]), opened(split="val")
    torch.manual_seed(0)
    model = ScreenModel(
        {"face": ConvTower(), "eyes": ConvTower()},
        partial(Pooled, cells=(SIZE // 8) ** 2, width=64, boxes=[64, 64]),
        PointHead,
    )
    trainer = Trainer(
        run=Run(folder / "run"),
        hardware=Hardware(device="cpu", workers=0),
        seed=0,
        model=model,
        objective=Objective({"point_smooth_l1": PointSmoothL1()}),
        metrics={"error": PointError(only=["error_cm"])},
        optimizer=grouped(model, lambda groups: torch.optim.AdamW(groups, lr=4e-3, weight_decay=0.02)),
        schedule={"lr": Linear(warmup_steps=30)},
        train_set=train_set,
        val_set=val_set,
        callbacks={"statistics": TargetStatistics(), "ema": EMA(0.95), "checkpoint": Checkpoint()},
        epochs=5,
        batch_size=32,
        val_batch_size=100,
        clip_norm=1.0,
        monitor="error_cm",
    )
    errors = {"model": trainer.fit()["error_cm"]}
    truth = val_set.labels.point
    for name, point in baseline_points(train_set.labels, val_set.labels).items():
        errors[name] = float((point - truth).norm(dim=-1).mean())
    (folder / "errors_cm.json").write_text(json.dumps(errors))
