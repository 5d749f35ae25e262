"""Run directories: built from trusted names only, held by one process, continued with the same config."""

import errno
import os
import socket
import time

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from gaze import holders
from gaze.checkpoints import Checkpoints
from gaze.runs import ConfigError, Run, RunError, build, check, differences, load_model, without_weights
from tests.processes import context

MODEL = {
    "_target_": "gaze.models.gazelle.GazeLLE",
    "backbone": {"_target_": "gaze.backbones.conv_vit.ConvViT", "stem": [4, 4, 8], "width": 8, "depth": 1, "heads": 1},
    "head": {
        "_target_": "gaze.heads.heatmap_decoder.HeatmapDecoder",
        "_partial_": True,
        "width": 8,
        "layers": 1,
        "heads": 1,
        "size": [8, 8],
    },
}


def write_run(path, model=MODEL):
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    return path


def test_a_run_gives_back_its_model_from_its_own_config(tmp_path):
    model = build(OmegaConf.create(MODEL))
    Checkpoints(write_run(tmp_path) / "best").save(3, model, {})
    loaded = load_model(tmp_path)
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_a_run_knows_the_sizes_of_the_pictures_it_was_trained_on(tmp_path):
    Checkpoints(write_run(tmp_path) / "best").save(0, build(OmegaConf.create(MODEL)), {})
    config = {"model": MODEL, "dataset": {"face_size": 40, "eye_size": [24, 32]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    loaded = load_model(tmp_path)
    assert (loaded.face_size, loaded.eye_size, loaded.image_size) == ((40, 40), (24, 32), None)


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "target", ["os.system", "torch.load", "gaze.runs.os.system", "gaze.runs.yaml.unsafe_load", "builtins.exec"]
)
def test_a_run_that_names_foreign_code_is_refused(tmp_path, target):
    Checkpoints(write_run(tmp_path, {"_target_": target, "command": "touch x"}) / "best").save(
        0, torch.nn.Linear(1, 1), {}
    )
    with pytest.raises(Exception, match="is not trusted|cannot be called|not allowed|has no argument|whitelist"):
        load_model(tmp_path)


@pytest.mark.fault("X2")
def test_a_config_that_names_foreign_code_is_refused_at_the_entry():
    node = OmegaConf.create({"callback": {"x": {"_target_": "os.system", "command": "true"}}})
    with pytest.raises(
        ConfigError, match=r"callback\.x\._target_: 'os\.system' is not trusted; a config may call only gaze"
    ):
        check(node)
    with pytest.raises(Exception, match="os.system"):
        build(node)


@pytest.mark.fault("X2")
def test_yaml_aliases_that_could_unfold_are_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: &a [1, 1]\nmodel: [*a, *a]\n")
    with pytest.raises(RunError, match="uses YAML aliases"):
        load_model(tmp_path)


def test_no_run_no_weights_and_no_model_are_told_apart(tmp_path):
    with pytest.raises(RunError, match=r"holds no run: there is no config\.yaml"):
        load_model(tmp_path)
    with pytest.raises(RunError, match=r"holds no weights: neither best/ nor last/"):
        load_model(write_run(tmp_path))
    (tmp_path / "config.yaml").write_text("- 1\n")
    with pytest.raises(RunError, match="not the config of a training run"):
        load_model(tmp_path)


def test_loading_a_run_reads_no_other_weights():
    assert without_weights({"a": [{"weights": "x.pth", "b": 1}]}) == {"a": [{"weights": None, "b": 1}]}


def hold(path, taken, leave):
    with Run(path).locked():
        taken.set()
        leave.wait(30)


@pytest.mark.fault("K10")
def test_a_second_process_in_one_directory_fails_at_once_and_names_the_first(tmp_path):
    start = context()
    taken, leave = start.Event(), start.Event()
    first = start.Process(target=hold, args=(tmp_path, taken, leave))
    first.start()
    assert taken.wait(30)
    with (
        pytest.raises(RunError, match=rf"is in use by process {first.pid}; wait for it, or choose another dir="),
        Run(tmp_path).locked(),
    ):
        pass
    leave.set()
    first.join()
    with Run(tmp_path).locked():
        text = (tmp_path / ".lock").read_text()
    assert text.split("\n")[:2] == [str(os.getpid()), socket.gethostname()]
    assert holders.told(text) == f"process {os.getpid()}"
    assert holders.told("7\nelsewhere\nb") == "process 7 on elsewhere, another machine"


@pytest.mark.fault("K10")
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def refuses(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("gaze.holders.fcntl.lockf", refuses)
    with (
        pytest.raises(RunError, match=r"is on a file system that has no locks \(No locks available\).*choose a dir="),
        Run(tmp_path).locked(),
    ):
        pass


@pytest.mark.fault("K9")
def test_going_on_with_another_config_is_refused_unless_named(tmp_path):
    def config(**changes):
        return OmegaConf.create({"seed": 0, "trainer": {"epochs": 3}, "hardware": {"workers": 2}} | changes)

    run = Run(tmp_path)
    run.open(config(), ["model=x"], allow=[])
    run.open(config(seed=9), [], allow=[])  # nothing was saved yet: this is still the start
    run.last.save(1, torch.nn.Linear(1, 1), {})
    with pytest.raises(ConfigError, match=r"seed: 9 -> 0; trainer\.epochs: 3 -> 5.*resume\.allow"):
        run.open(config(trainer={"epochs": 5}), [], allow=[])
    run.open(config(seed=9, trainer={"epochs": 5}), [], allow=["trainer.epochs"])
    run.open(config(seed=9, trainer={"epochs": 5}, hardware={"workers": 0}), [], allow=[])
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["trainer"]["epochs"] == 5


def test_differences_name_added_removed_and_changed_keys():
    before, now = {"a": 1, "b": {"c": 2}, "d": [1]}, {"b": {"c": 3}, "d": [1], "e": None, "f": 0}
    assert list(differences(before, now)) == [("a", 1, None), ("b.c", 2, 3), ("f", None, 0)]


WRITES = {"_target_": "gaze.runs.write_text", "file": {"_target_": "pathlib.Path", "path": "x"}, "text": "gotcha"}


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "target",
    ["gaze.runs.write_text", "gaze.loggers.store.database", "gaze.loggers.resend.resend", "gaze.environment.git_state",
     "gaze.synthesis.gazefollow.write_gazefollow", "gaze.pictures.sheet.save_picture", "gaze.checkpoints.Checkpoints",
     "gaze.journal.Journal", "gaze.runs.Run", "gaze.callbacks.log.Log", "gaze.runs.load_model"],
)  # fmt: skip
def test_a_run_of_a_stranger_can_name_parts_of_models_only(tmp_path, target):
    write_run(tmp_path, {"_target_": "gaze.models.gazelle.GazeLLE", "backbone": {"_target_": target}, "head": WRITES})
    with pytest.raises(ConfigError, match=rf"model\.backbone\._target_: '{target}' is not trusted"):
        load_model(tmp_path)


@pytest.mark.parametrize("key", ["_args_", "_convert_"])
def test_hydra_s_own_keys_beyond_target_and_partial_are_refused(key):
    with pytest.raises(ConfigError, match=f"has no argument '{key}'"):
        check(OmegaConf.create({"x": {"_target_": "gaze.callbacks.ema.EMA", key: []}}))


@pytest.mark.fault("K1")
def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    start = context()
    taken = start.Event()
    child = start.Process(target=hold_with_a_worker, args=(tmp_path, taken))
    child.start()
    assert taken.wait(30)
    os.kill(child.pid, 9)
    child.join()
    with Run(tmp_path).locked():
        pass


def hold_with_a_worker(path, taken):
    with Run(path).locked():
        if os.fork() == 0:  # as a loader worker: it outlives its parent for a while
            time.sleep(3)
            os._exit(0)
        taken.set()
        time.sleep(30)


def test_checkpoints_without_a_config_are_not_continued(tmp_path):
    run = Run(tmp_path)
    run.last.save(1, torch.nn.Linear(1, 1), {})
    with pytest.raises(RunError, match=r"holds checkpoints but no config\.yaml"):
        run.open(OmegaConf.create({"seed": 0}), [], [])
