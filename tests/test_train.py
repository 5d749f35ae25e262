"""The entry: what it writes, what it goes on with, and one clear sentence for each mistake. All in this process."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import gaze.train
from gaze.manifests import verify
from gaze.runs import load_model
from tests.datasets.clip_folders import write_shows
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.entry import ENVIRONMENT, SMALL_BACKBONE, SMALL_HEAD, SMALL_RUN, TOY

MODELS = sorted(p.stem for p in (Path(__file__).parents[1] / "conf" / "model").glob("*.yaml"))
RUN = "dir=run"


class Ended(NamedTuple):
    """How the entry ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve training and four validation pictures of two people."""
    root = tmp_path_factory.mktemp("folder") / "data"
    write_gazefollow_folder(root, {"train": 12, "val": 4}, size=(32, 32))
    return root


@pytest.fixture
def home(tmp_path, folder, monkeypatch):
    """The directory a user stands in; `data` lies in it."""
    (tmp_path / "data").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    logging.getLogger().handlers.clear()


@pytest.fixture
def train(home, monkeypatch, capfd):
    """`train(*arguments)`: the command line without the cost of a new process."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gaze-train", *arguments])
        logging.getLogger().handlers.clear()
        capfd.readouterr()
        code = 0
        try:
            gaze.train.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Ended(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def trained():
    """Configs, but for their names, that were trained."""
    return set()


@pytest.fixture(scope="module")
def ended_run(folder, tmp_path_factory):
    """A run of TOY that has ended."""
    home = tmp_path_factory.mktemp("ended")
    (home / "data").symlink_to(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(sys, "argv", ["gaze-train", *TOY, RUN])
        code: object = 0
        try:
            gaze.train.main()
        except SystemExit as end:
            code = end.code
    assert not code
    logging.getLogger().handlers.clear()
    return home / "run"


@pytest.fixture
def ended(ended_run, home):
    """A copy of it where the user stands."""
    return shutil.copytree(ended_run, home / "run", symlinks=True)


def journal(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_behind_what_is_needed_to_repeat_and_use_it(train, home):
    ended = train(*TOY, RUN, "callback.log.every_steps=1")
    assert ended.code == 0, ended.err
    run = home / "run"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["batch_size"] == 4
    assert config["model"]["backbone"]["width"] == 8
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == [*TOY, RUN, "callback.log.every_steps=1"]
    facts = json.loads((run / "environment.json").read_text())
    assert facts["packages"]["torch"] == metadata.version("torch")
    assert not facts["git"] or (
        re.fullmatch("[0-9a-f]{40}", facts["git"]["commit"]) and facts["git"]["dirty"] in (True, False)
    )
    data = json.loads((run / "provenance.json").read_text())["data"]
    assert data["train"]["samples"] > 0
    assert re.fullmatch("[0-9a-f]{64}", data["val"]["sha256"])
    inputs = {row["name"]: row for row in json.loads((run / "signature.json").read_text())["inputs"]}
    assert inputs["image"] == {"name": "image", "dtype": "float32", "shape": [-1, 3, 64, 64]}
    assert [line["step"] for line in journal(run)] == [1, 2, 3, 3]
    assert {"val/min_l2", "val/auc", "val/best_min_l2"} <= set(journal(run)[-1])
    for kind in ("last", "best"):
        assert verify(run / kind / "step-00000003") is None
    assert not load_model(run).training
    assert (run / "pictures" / "epoch_001.png").is_file()


def test_it_returns_the_best_of_the_monitored_figure_to_a_search(home):
    with initialize_config_module("gaze.conf", job_name="train"):
        job = GlobalHydra.instance().hydra.run("train", gaze.train.main.__wrapped__, [*TOY, RUN, "trainer.epochs=2"])
    found = [line["val/min_l2"] for line in journal(home / "run") if "val/min_l2" in line]
    assert job.return_value == min(found)


# Who has a sibling that also learns whether the target is in the picture takes that one's step, and half of its losses.
@pytest.mark.parametrize("model", [n for n in MODELS if n.startswith("gazelle_") and f"{n}_inout" not in MODELS])
def test_every_model_trains_an_epoch_at_toy_size(train, trained, home, model):
    small = ("head.size=[8,8]", *SMALL_BACKBONE, *SMALL_HEAD, *SMALL_RUN)
    words = [f"model={model}", "dataset.root=data", "dataset.image_size=[32,32]", *small, RUN]
    with initialize_config_module("gaze.conf", job_name="train"):
        config = OmegaConf.to_container(compose("train", words))
    alike = yaml.safe_dump({key: value for key, value in config.items() if key != "name"})
    if alike in trained:  # it differs in its backbone, which is another's here; `test_family` takes a step of its own
        return
    trained.add(alike)
    if model.endswith("_inout"):
        write_shows(home / "data", "train", shows=6)
    ended = train(*words)
    assert ended.code == 0, ended.err
    monitored = yaml.safe_load((home / "run" / "config.yaml").read_text())["trainer"]["monitor"]
    assert f"val/best_{monitored}" in journal(home / "run")[-1]


@pytest.mark.parametrize("recipe", ["none", "full"])
def test_a_recipe_of_unfreezing_goes_with_a_model_that_has_none(train, home, recipe):
    ended = train(*TOY, RUN, f"experiment=finetune_{recipe}")
    assert ended.code == 0, ended.err
    said = {"none": "backbone: none of its 1 blocks train", "full": "backbone: all its 1 blocks train"}
    assert said[recipe] in ended.err


def test_an_added_callback_does_not_come_after_the_checkpoint(train, home):
    added = train(*TOY, RUN, "experiment=finetune_none", "+callback@callback=feature_cache")
    assert added.code == 0, added.err


def test_the_same_command_goes_on_and_a_finished_run_stays_as_it_is(train, ended):
    before = (ended / "metrics.jsonl").read_text()
    again = train(*TOY, RUN)
    assert again.code == 0
    assert "continuing" in again.err
    assert "at step 3" in again.err
    assert (ended / "metrics.jsonl").read_text() == before


def test_another_config_is_refused_unless_it_is_named(train, ended):
    longer = train(*TOY, RUN, "trainer.epochs=2", "seed=7")
    assert_explained(
        longer, r"run was started with another config: seed: 0 -> 7; trainer.epochs: 1 -> 2. .*resume.allow"
    )
    assert train(*TOY, RUN, "trainer.epochs=2", "resume.allow=[trainer.epochs]").code == 0
    assert journal(ended)[-1]["step"] == 6
    assert yaml.safe_load((ended / "config.yaml").read_text())["trainer"]["epochs"] == 2


def test_where_and_how_loudly_it_goes_on_is_free(train, ended):
    assert train(*TOY, RUN, "hardware.threads=1", "callback.log.every_steps=1").code == 0


def test_a_checkpoint_of_another_architecture_is_refused(train, ended):
    wider = train(*TOY, RUN, "backbone.width=16", "resume.allow=[backbone,model]")
    assert_explained(
        wider, r"step-00000003/model.safetensors holds the weights of another model: shapes differ for .* instead of"
    )


def test_init_starts_from_another_run(train, ended):
    second = train(*TOY, "dir=second", "init=weights", "init.run=run", "init.exclude=[head.inout_*]")
    assert second.code == 0, second.err
    assert "keep their own start: head.inout_" in second.err


MISTAKES = {
    "no data": (
        ["dataset.root=nowhere"],
        r"error: the data set folder .*nowhere does not exist; expected .* make a synthetic set",
    ),
    "no validation": (
        ["dataset.root=novalid", "dataset.val_fraction=0"],
        r"error: novalid has no val file and val_fraction is 0",
    ),
    "a torn picture": (
        ["dataset.root=torn", "dataset.check=decode"],
        r"error: the (train|val) split of torn.*00000003.png",
    ),
    "a wrong type": (["trainer.amp=ture"], r"error: the config cannot be built:\n  trainer.amp: 'ture' is no bool"),
    "an unknown key": (["trainer.epoch=3"], r"Could not override 'trainer.epoch'.*Did you mean: 'epochs'"),
    "an unknown argument": (
        ["+trainer.epoch=3"],
        r"error: .*\n  trainer.epoch: Trainer has no argument 'epoch'; did you mean 'epochs'",
    ),
    "an unknown option": (["backbone=resnet"], r"Could not find 'backbone/resnet'.*conv_vit"),
    "foreign code": (
        ["+callback.x._target_=os.system"],
        r"error: .*\n  callback.x._target_: 'os.system' is not trusted",
    ),
    "something to fill in": (
        ["init=weights"],
        r"error: .*\n  init.run: a value is missing; give one with init.run=...",
    ),
    "no such run": (
        ["init=weights", "init.run=nowhere"],
        r"error: nowhere holds no run: there is no config.yaml in it",
    ),
    "a figure nobody computes": (
        ["trainer.monitor=typo"],
        r"error: trainer.monitor is 'typo', which no metric computes; there are loss",
    ),
    "a word for a number": (["optimizer.optimizer.lr=fast"], r"error: .*\n  optimizer.optimizer.lr: 'fast' is no"),
    "a large batch": (
        ["trainer.batch_size=400"],
        r"error: the training split has 12 samples, fewer than one step of batch_size 400",
    ),
    "no epochs": (["trainer.epochs=0"], r"error: trainer.epochs is 0; expected 1 or more"),
    "an empty batch": (["trainer.batch_size=0"], r"error: trainer.batch_size is 0; expected 1 or more"),
    "no replicas": (["hardware=ddp"], r"error: hardware.distributed is true but torchrun did not start this process"),
    "no such device": (["hardware.device=cupu"], r"error: hardware.device is 'cupu'; expected auto, cpu, cuda"),
    "no losses": (["loss=[]"], r"error: the loss has no terms; choose at least one"),
    "no weights": (
        ["loss.heatmap_bce.weight=0", "loss.inout_bce.weight=0"],
        r"error: every term of the loss has weight 0 at step 0",
    ),
    "a schedule of nothing": (
        ["+schedule.lrr._target_=gaze.schedules.Constant"],
        r"error: schedule.lrr: .*expected .*lr",
    ),
    "nothing to thaw": (
        ["callback=[unfreeze,checkpoint]", "callback.unfreeze.module=head"],
        r"error: callback.unfreeze.module is 'head'",
    ),
}


def assert_explained(ended: Ended, message: str) -> None:
    """It failed with what it has to say, and nothing else."""
    assert ended.code == 1
    assert re.search(message, ended.err, re.DOTALL), ended.err
    assert "Traceback" not in ended.err + ended.out


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained_before_training(train, home, folder, mistake):
    spoil(home, folder)
    overrides, message = MISTAKES[mistake]
    assert_explained(train(*TOY, RUN, *overrides), message)
    assert not list((home / "run").glob("last/*"))


def spoil(home: Path, folder: Path) -> None:
    """Folders with something wrong in them: `torn` has half a picture, `novalid` no validation split."""
    for name in ("torn", "novalid"):
        shutil.copytree(folder, home / name)
        (home / name / "val_annotations_release.txt").unlink()
    torn = home / "torn" / "train" / "00000003.png"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])


def test_a_list_chosen_anew_needs_nothing_that_the_model_said_about_the_old_one(train, home):
    """The model sets inout_bce.weight; whoever leaves the term out does not have to know."""
    ended = train(*TOY, RUN, "loss=[heatmap_bce]")
    assert ended.code == 0, ended.err
    assert "val/inout_bce" not in journal(home / "run")[-1]


@pytest.mark.parametrize("group", ["metric", "callback"])
def test_a_list_may_be_empty(train, group):
    ended = train(*TOY, RUN, f"{group}=[]", "trainer.monitor=loss")
    assert ended.code == 0, ended.err


def test_without_a_model_it_lists_them(train):
    ended = train()
    assert_explained(ended, "You must specify 'model', e.g, model=<OPTION>.*" + ".*".join(MODELS))


def test_help_shows_what_there_is(train):
    ended = train("--help")
    assert ended.code == 0, ended.err
    for name in (*MODELS, "overfit", "model=gazelle_small sweep=lr", 'eval "$(python -m gaze.train -sc install=bash)"'):
        assert name in ended.out


def test_the_config_can_be_shown_without_running(train, home):
    ended = train(*TOY, "--cfg", "job", "--resolve")
    assert ended.code == 0, ended.err
    assert yaml.safe_load(ended.out)["model"]["backbone"]["width"] == 8
    assert not (home / "outputs").exists()


def test_help_is_quick(tmp_path):
    """It imports nothing heavy: neither torch nor what needs it."""
    script = (
        "import resource, sys; sys.argv = ['gaze-train', '--help']\n"
        "import gaze.train\n"
        "try: gaze.train.main()\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in ('torch', 'numpy', 'timm', 'mlflow', 'optuna') if m in sys.modules]\n"
        "print('heavy', heavy, resource.getrusage(resource.RUSAGE_SELF).ru_utime)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    found = re.search(r"heavy \[\] ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 3.0
