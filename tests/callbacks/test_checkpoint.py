"""The checkpoint callback leaves out what its source gives back, and nothing else."""

import logging
from types import SimpleNamespace

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from gaze.backbones.hgnetv2 import HGNetV2
from gaze.callbacks.checkpoint import Checkpoint
from gaze.checkpoints import CheckpointError, read_weights
from gaze.runs import Run, build, load_model
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.entry import SMALL_HEAD, SMALL_RUN, start
from tests.stubs.training import line_trainer

SIZES = {"width": 256, "kernel": 3, "repeats": 1}
HEAD = {
    "_target_": "gaze.heads.heatmap_decoder.HeatmapDecoder",
    "_partial_": True,
    "width": 16,
    "layers": 1,
    "heads": 2,
    "size": [8, 8],
}


@pytest.fixture
def trainer(tmp_path):
    """Of a GazeLLE whose frozen backbone came from a file."""
    torch.save(HGNetV2(**SIZES).state_dict(), tmp_path / "backbone.pth")
    backbone = {"_target_": "gaze.backbones.hgnetv2.HGNetV2", "weights": str(tmp_path / "backbone.pth"), **SIZES}
    config = {"model": {"_target_": "gaze.models.gazelle.GazeLLE", "backbone": backbone, "head": HEAD}}
    run = Run(tmp_path / "run")
    run.path.mkdir()
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    model = build(OmegaConf.create(config).model)
    model.backbone.requires_grad_(False)
    callback = Checkpoint(leave_out="backbone")
    return SimpleNamespace(
        model=model, eval_model=model, run=run, callbacks={"checkpoint": callback}, epoch=1, improved=True,
        progress=SimpleNamespace(step=7), state_dict=dict, models=(model,),
        guard=SimpleNamespace(look=lambda: None, check=lambda *models: None),
        hardware=SimpleNamespace(main=True, runs_along=True),
    )  # fmt: skip


def saved(trainer):
    """Start and save; the names of the parts in both files."""
    callback = trainer.callbacks["checkpoint"]
    callback.fit_start(trainer)
    callback.epoch_end(trainer, {})
    assert not callback.failures
    files = [kept.newest() / "model.safetensors" for kept in (trainer.run.best, trainer.run.last)]
    return [{name.split(".")[0] for name in read_weights(file)} for file in files]


def assert_comes_back(trainer):
    for name, value in load_model(trainer.run.path).state_dict().items():
        assert torch.equal(value, trainer.model.state_dict()[name]), name


def test_a_frozen_backbone_stays_out_and_comes_back(trainer):
    assert saved(trainer) == [{"head"}, {"head"}]
    assert_comes_back(trainer)
    assert trainer.run.last.left_out() == {"backbone"}
    again = build(OmegaConf.create(yaml.safe_load((trainer.run.path / "config.yaml").read_text())).model)
    trainer.run.last.load(again)
    assert torch.equal(again.head.linear.weight, trainer.model.head.linear.weight)


def test_one_that_trains_is_kept(trainer):
    trainer.model.backbone.stages[2].requires_grad_(True)
    assert saved(trainer) == [{"backbone", "head"}] * 2
    assert trainer.run.last.left_out() == set()
    assert_comes_back(trainer)


def test_one_that_is_not_from_its_source_is_kept_and_that_is_said(trainer, caplog):
    with torch.no_grad():
        trainer.model.backbone.stem.stem1.conv.weight += 1
    with caplog.at_level(logging.WARNING):
        assert saved(trainer) == [{"backbone", "head"}] * 2
    assert "backbone is not what its source gives, so checkpoints hold it" in caplog.text
    assert_comes_back(trainer)


def test_nothing_is_left_out_unless_asked(trainer):
    trainer.callbacks["checkpoint"] = Checkpoint()
    assert saved(trainer) == [{"backbone", "head"}] * 2


def test_a_source_that_changed_or_went_is_said(trainer, tmp_path):
    saved(trainer)
    torch.save(HGNetV2(**SIZES).state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(CheckpointError, match=r"leaves backbone out, and the source .* no longer gives the same one"):
        load_model(trainer.run.path)
    (tmp_path / "backbone.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*backbone.pth"):
        load_model(trainer.run.path)


def test_a_part_that_is_none_is_refused_at_the_start(trainer):
    trainer.callbacks["checkpoint"] = callback = Checkpoint(leave_out="encoder")
    with pytest.raises(ValueError, match="leave_out is 'encoder'; expected a module of backbone, head"):
        callback.fit_start(trainer)


@pytest.mark.slow
def test_a_run_goes_on_from_a_checkpoint_without_its_backbone(tmp_path):
    write_gazefollow_folder(tmp_path / "data", {"train": 8, "val": 4}, size=(32, 32))
    torch.save(HGNetV2(**SIZES).state_dict(), tmp_path / "backbone.pth")
    words = [
        "model=gazelle_hgnetv2_atto", "backbone.weights=backbone.pth", "backbone.subset=false", "callback.unfreeze.first=0",
        "callback.unfreeze.every_epochs=null", "callback.checkpoint.leave_out=backbone", "dataset.root=data",
        "dataset.image_size=[32,32]", "head.size=[4,4]", *SMALL_HEAD, *SMALL_RUN, "dir=run",
    ]  # fmt: skip
    for more in ([], ["trainer.epochs=2", "resume.allow=[trainer.epochs]"]):
        process = start(tmp_path, *words, *more)
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
    run = Run(tmp_path / "run")
    assert len(run.last.steps()) == 2
    assert {name.split(".")[0] for name in read_weights(run.last.newest() / "model.safetensors")} == {"head"}


@pytest.mark.fault("K6")
@pytest.mark.parametrize("failing", [2, 3])
def test_a_best_that_could_not_be_written_is_written_by_the_next_start_or_missed_again(tmp_path, monkeypatch, failing):
    def begin():
        made = line_trainer(tmp_path / "run", {"checkpoint": Checkpoint()}, epochs=3)
        made._better = lambda metrics: made.epoch <= failing  # the best is that epoch's
        return made

    first, steps = begin(), []
    save = first.run.best.save

    def fails(step, *args):
        steps.append(step)
        if len(steps) == failing:
            raise CheckpointError("could not write: No space left on device")
        return save(step, *args)

    monkeypatch.setattr(first.run.best, "save", fails)
    with pytest.raises(CheckpointError, match="No space left"):
        first.fit()
    if failing == 3:  # the last step's, which is what is loaded
        begin().fit()
        assert Run(tmp_path / "run").best.steps() == [18]
    for _ in range(2):
        again = begin()
        if failing == 3:
            assert again.fit() == first.best
        else:
            with pytest.raises(
                CheckpointError, match=r"best weights, of step 12, are missing: could not write: No space"
            ):
                again.fit()
            assert Run(tmp_path / "run").best.steps() == [6]
