"""The stack for video with in/out, from its files: clips on disk, both losses, the data set's own metrics."""

import pytest
import torch
from hydra import compose, initialize_config_module

from gaze.hardware import Hardware
from gaze.losses.objective import Objective
from gaze.runs import build, chosen
from gaze.synthesis.clip_world import ClipWorld
from gaze.synthesis.videoattentiontarget import write_clips
from gaze.types import Progress, collate
from tests.stubs.entry import SMALL_BACKBONE, SMALL_HEAD


def test_a_step_on_clips_trains_heatmap_and_inout_and_is_measured(tmp_path):
    world = ClipWorld(size=64, frames=6, people=[2, 3], outside=0.5)
    write_clips(world, tmp_path / "clips", {"train": 16, "test": 1})
    root = f"dataset.root={tmp_path / 'clips'}"
    with initialize_config_module("gaze.conf"):
        overrides = ["model=gazelle_small", "dataset=clips", "metric=[vat,inout_precision]", root, "dir=unused"]
        cfg = compose("train", overrides=[*overrides, *SMALL_BACKBONE, *SMALL_HEAD])
    sets = {split: build(cfg.dataset)(split=split) for split in ("train", "val", "test")}
    assert {split: len(found) for split, found in sets.items()} == {"train": 24, "val": 24, "test": 6}
    samples = [sets["train"].sample(i, torch.Generator().manual_seed(i)) for i in range(24)]
    batch = Hardware(device="cpu", workers=0).place(collate(samples))
    assert 0 < batch.targets.inout.mean() < 1
    assert len(batch.inputs.head_bbox) >= 44  # of two or three people a frame, less those who are away

    model = build(cfg.model)
    prediction = model(batch.inputs)
    total, terms = Objective(chosen(cfg, "loss"))(prediction, batch, Progress(0, 10, 5))
    assert set(terms) >= {"heatmap_bce", "inout_bce"}
    # The last layer of in/out starts from zero: no head is called inside or outside before it has learned.
    assert prediction.inout.abs().max() == 0
    assert terms["inout_bce"].item() == pytest.approx(0.6931, abs=1e-4)
    total.backward()
    trained = {name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert trained >= {"heatmap_head", "inout_head", "transformer"}

    figures = {}
    for metric in chosen(cfg, "metric").values():
        metric.update(prediction, batch.targets)
        figures |= {name: float(value) for name, value in metric.compute().items()}
    assert set(figures) == {"vat_auc", "vat_l2", "inout_ap"}
    assert figures["inout_ap"] == pytest.approx(batch.targets.inout.mean().item(), abs=1e-4)  # of a constant
