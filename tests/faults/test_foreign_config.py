"""Configs of strangers: nothing that they name is imported or called but what the lists of gaze/trusted.py allow."""

from __future__ import annotations

import sys

import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import gaze.train
from gaze.checkpoints import Checkpoints
from gaze.runs import ConfigError, RunError, build, check, load_config, load_model
from gaze.trusted import TRUSTED

MODULE = "strange_module_of_a_test"
# The attempts of reference/reliability.md B3, with the arguments that would do harm
ATTEMPTS = {
    "os.system": {"command": "touch ran"},
    "subprocess.run": {"args": ["touch", "ran"]},
    "subprocess.Popen": {"args": ["touch", "ran"]},
    "builtins.exec": {"source": "open('ran', 'w')"},
    "builtins.eval": {"source": "open('ran', 'w')"},
    "builtins.map": {"func": "open", "iterable": ["ran"]},
    "pickle.loads": {"data": "x"},
    "runpy.run_path": {"path_name": f"{MODULE}.py"},
    "runpy.run_module": {"mod_name": MODULE},
    "timeit.timeit": {"stmt": "open('ran', 'w')"},
    "code.interact": {},
    "cProfile.run": {"statement": "open('ran', 'w')"},
    "logging.os.system": {"command": "touch ran"},
    "torch.load": {"f": "payload.pt", "weights_only": False},
    "numpy.load": {"file": "payload.npy", "allow_pickle": True},
    "joblib.load": {"filename": "payload.pt"},
    "pandas.read_pickle": {"filepath_or_buffer": "payload.pt"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "ran", "source": "local"},
    "shutil.copy": {"src": f"{MODULE}.py", "dst": "ran"},
    "pandas.eval": {"expr": "1"},
    "torch.nn.functional.torch.load": {"f": "payload.pt", "weights_only": False},
    "mlflow.pyfunc.load_model": {"model_uri": "."},
    "importlib.machinery.ExtensionFileLoader": {"name": "a", "path": "a.so"},
    f"{MODULE}.call": {},
}
# Ways around a list of prefixes: names that an allowed module imported itself
ALIASES = {
    "torch.nn.parallel.distributed.os.system": {"command": "touch ran"},
    "torchmetrics.utilities.data.torch.load": {"f": "payload.pt", "weights_only": False},
    "torch.nn.init.torch.save": {"obj": 1, "f": "ran"},
    "gaze.callbacks.log.logging.FileHandler": {"filename": "ran"},
    "torch.optim.optimizer.functools.partial": {"func": "os.system"},
    f"gaze.callbacks.{MODULE}.call": {},
    f"torch.nn.{MODULE}.call": {},
}


class Payload:
    def __reduce__(self):
        return (open, ("ran", "w"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to stand in, whose module and pickle say when they are run."""
    (tmp_path / f"{MODULE}.py").write_text("open('ran', 'w').close()\ndef call():\n    open('ran', 'w').close()\n")
    torch.save(Payload(), tmp_path / "payload.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    assert MODULE not in sys.modules
    assert not (tmp_path / "ran").exists()


def node(target, arguments):
    return OmegaConf.create({"x": {"_target_": target, **arguments}})


@pytest.mark.fault("X2")
def test_there_are_24_attempts():
    assert len(ATTEMPTS) == 24


@pytest.mark.fault("X2")
@pytest.mark.parametrize("target", ATTEMPTS)
def test_an_attempt_is_refused_before_its_module_is_imported(place, target):
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=r"x\._target_: '.*' is not trusted[;:]"):
        check(node(target, ATTEMPTS[target]))
    with pytest.raises(Exception, match="whitelist"):
        build(node(target, ATTEMPTS[target]))
    root = target.partition(".")[0]
    assert root in before or root not in sys.modules, "it was imported to be looked at"


@pytest.mark.fault("X2")
@pytest.mark.parametrize("target", ALIASES)
def test_an_alias_below_an_allowed_name_is_what_it_stands_for(place, target):
    with pytest.raises(
        ConfigError, match="is not trusted: it is .* under another name|cannot be called: module .* has no"
    ):
        check(node(target, ALIASES[target]))
    with pytest.raises(Exception, match="whitelist|Error locating target"):
        build(node(target, ALIASES[target]))


@pytest.mark.fault("X2")
def test_no_attempt_works_from_the_directory_of_a_run(place):
    """As the model, in an argument of an allowed one, and in a list."""
    Checkpoints(place / "best").save(0, torch.nn.Linear(1, 1), {})
    linear = {"_target_": "torch.nn.Linear", "in_features": 1}
    for target, arguments in (ATTEMPTS | ALIASES).items():
        evil = {"_target_": target, **arguments}
        sequence = {"_target_": "torch.nn.Sequential", "modules": [evil]}
        for model in (evil, {**linear, "out_features": evil}, sequence):
            (place / "config.yaml").write_text(yaml.safe_dump({"model": model}))
            with pytest.raises(
                Exception, match=r"not trusted|cannot be called|has no argument|whitelist|Error locating"
            ):
                load_model(place)


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch ran']", "!!python/name:os.system", "!!python/module:strange"]
)
def test_yaml_that_names_python_objects_is_refused(place, text):
    (place / "config.yaml").write_text(f"model: {text}\n")
    with pytest.raises(RunError, match="is not YAML: could not determine a constructor"):
        load_config(place)


@pytest.mark.fault("X2")
@pytest.mark.fault("X5")
def test_a_run_may_not_look_things_up_here(place, monkeypatch):
    """The address of weights with a secret in it would send the secret there."""
    monkeypatch.setenv("CLOUD_SECRET", "hunter2hunter2")
    weights = "https://example.org/${oc.env:CLOUD_SECRET}.pth"
    for model in ({"weights": weights}, {"layers": [{weights: 1}]}, {"weights": "${oc.decode:'1'}"}):
        (place / "config.yaml").write_text(yaml.safe_dump({"model": model}))
        with pytest.raises(RunError, match=r"config\.yaml: model.* is looked up elsewhere; no training run writes"):
            load_model(place)


@pytest.fixture
def entry(place, monkeypatch, capfd):
    """The command line, in this process: its exit code and what it said."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gaze-train", "model=gazelle_small", "dir=run", *arguments])
        GlobalHydra.instance().clear()
        with pytest.raises(SystemExit) as end:
            gaze.train.main()
        return end.value.code, "".join(capfd.readouterr())

    return run


def strange(place, group, text):
    file = place / "conf" / group
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(place / "conf")


EVIL = f"_target_: {MODULE}.call\n"


@pytest.mark.fault("X2")
@pytest.mark.parametrize("way", ["--config-dir={}", "hydra.searchpath=[file://{}]"])
def test_a_folder_of_configs_adds_settings_and_no_code(place, entry, way):
    folder = strange(place, "optimizer/strange.yaml", EVIL)
    code, said = entry(way.format(folder), "optimizer=strange")
    assert code == 1
    assert f"optimizer._target_: '{MODULE}.call' is not trusted" in said


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "text",
    [
        f"version: 1\nhandlers:\n  evil:\n    class: {MODULE}.call\nroot:\n  handlers: [evil]\n",
        f"version: 1\nhandlers:\n  evil:\n    (): {MODULE}.call\nroot:\n  handlers: [evil]\n",
        f"version: 1\nhandlers:\n  evil:\n    class: logging.StreamHandler\n    stream: ext://{MODULE}.call\n"
        "root:\n  handlers: [evil]\n",
        f"version: 1\nformatters:\n  evil:\n    (): {MODULE}.call\n"
        "handlers:\n  out:\n    class: logging.StreamHandler\n    formatter: evil\nroot:\n  handlers: [out]\n",
    ],
    ids=["class", "factory", "ext", "formatter"],
)
def test_a_config_of_the_log_names_no_code(place, entry, text):
    folder = strange(place, "hydra/job_logging/strange.yaml", text)
    code, said = entry(f"--config-dir={folder}", "hydra/job_logging=strange")
    assert code == 1
    assert "whitelist" in said


@pytest.mark.fault("X2")
@pytest.mark.parametrize("key", ["hydra.callbacks.x", "hydra.launcher", "hydra.sweeper"])
def test_hydra_s_own_parts_name_no_other_code(place, entry, key):
    plus = "+" if key.endswith("x") else ""
    code, said = entry(*([] if plus else ["-m"]), f"{plus}{key}._target_={MODULE}.call")
    assert code == 1
    assert "whitelist" in said or "Unknown plugin class" in said


def test_every_trusted_name_is_one_of_this_project_or_of_a_library_it_builds_on():
    assert {name.partition(".")[0] for name in TRUSTED} == {"gaze", "torch", "torchmetrics"}
