"""GazeLLE learns something, end to end: pictures on disk, the loop, a held-out split."""

import pytest
import torch

from gaze.backbones.conv_vit import ConvViT
from gaze.baselines import CentrePrior
from gaze.callbacks.checkpoint import Checkpoint
from gaze.datasets.augment import Flip
from gaze.datasets.gazefollow import GazeFollow
from gaze.evaluation import evaluate
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.losses.heatmap import HeatmapBCE
from gaze.losses.objective import Objective
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.models.gazelle import GazeLLE
from gaze.optimizers import grouped
from gaze.runs import Run
from gaze.schedules import Cosine
from gaze.synthesis.gazefollow import write_gazefollow
from gaze.synthesis.scene_world import SceneWorld
from gaze.trainer import Trainer


@pytest.mark.slow
def test_it_finds_what_the_only_person_looks_at_where_no_baseline_can(tmp_path):
    world = SceneWorld(size=64, people=[1, 1], objects=[1, 1], outside=0.0, at_people=0.0)
    write_gazefollow(world, tmp_path / "scenes", {"train": 256, "val": 64, "test": 0}, seed=0, workers=0)
    torch.manual_seed(0)
    model = GazeLLE(
        ConvViT(stem=[16, 32, 48], width=48, depth=1),
        lambda channels: HeatmapDecoder(channels, width=48, layers=2, heads=4, size=[16, 16], drop_path=0.0),
    )
    root, hardware = str(tmp_path / "scenes"), Hardware(device="cpu", workers=0)
    train_set = GazeFollow(root, "train", [64, 64], augmentations=[Flip()])
    val_set = GazeFollow(root, "val", [64, 64])
    trainer = Trainer(
        run=Run(tmp_path / "run"),
        hardware=hardware,
        seed=0,
        model=model,
        objective=Objective({"heatmap_bce": HeatmapBCE(sigma=1.0)}),
        metrics={"distance": HeatmapDistance()},
        optimizer=grouped(model, lambda groups: torch.optim.AdamW(groups, lr=4e-3)),
        schedule={"lr": Cosine(warmup_epochs=1)},
        train_set=train_set,
        val_set=val_set,
        callbacks={"checkpoint": Checkpoint()},
        epochs=8,
        batch_size=16,
        clip_norm=1.0,
        monitor="min_l2",
    )
    found = trainer.fit()["min_l2"]
    guess = evaluate(CentrePrior(), trainer.val_loader, trainer.metrics, hardware)["min_l2"]
    assert found < 0.5 * guess, f"{found:.3f} against {guess:.3f} for the centre prior"
