"""The config tree: it mirrors the package, composes, and names nothing that does not exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from gaze.runs import plain_config
from gaze.signatures import locate, problems

CONF = Path(__file__).parents[1] / "conf"
PACKAGE = Path(__file__).parents[1] / "gaze"
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name not in ("hydra", "__pycache__"))
STACKS = ("experiment", "sweep")  # variations of a model; they build nothing of their own
# DESIGN gives the worlds one renderer, so the package is named after what they share. Tools have a key `calibration`.
ELSEWHERE = {"world": "synthesis", "calibrator": "calibration"}
FILES = sorted(p for group in GROUPS for p in (CONF / group).glob("*.yaml"))
NAMES = [f"{p.parent.name}/{p.stem}" for p in FILES]


def options(group: str) -> list[str]:
    return sorted(p.stem for p in (CONF / group).glob("*.yaml"))


def home(group: str) -> str:
    """The package or module of a group: gaze.backbones for backbone, gaze.trainer for trainer."""
    names = [ELSEWHERE.get(group, ""), f"{group}s", f"{group}es", group]
    return next(n for n in names if n and ((PACKAGE / n).is_dir() or (PACKAGE / f"{n}.py").is_file()))


def targets(node) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [t for value in node.values() for t in targets(value)]
    return [t for value in node for t in targets(value)] if isinstance(node, list) else []


def composed(*overrides: str):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[*overrides, "dir=unused"])


@pytest.mark.parametrize("group", [g for g in GROUPS if g not in STACKS])
def test_a_group_points_into_the_module_of_its_name(group):
    for option in options(group):
        named = targets(yaml.safe_load((CONF / group / f"{option}.yaml").read_text()))
        named = [t for t in named if t.startswith("gaze.") or group != "model"]  # a stack may set a part's activation
        assert not named or any(t.startswith(f"gaze.{home(group)}.") for t in named), f"{group}/{option}: {named}"


@pytest.mark.parametrize("group", [g for g in GROUPS if g not in STACKS and (PACKAGE / home(g)).is_dir()])
def test_every_class_with_an_interface_is_reached_by_some_yaml(group):
    """A loss, metric, backbone ... that no config can choose does not exist."""
    interface = {"loss": "Loss", "metric": "Metric", "callback": "Callback", "dataset": "Dataset"}.get(group)
    if interface is None:
        pytest.skip("no common interface")
    named = {
        t for option in options(group) for t in targets(yaml.safe_load((CONF / group / f"{option}.yaml").read_text()))
    }
    bases = {}  # class -> (its dotted name, what it inherits from)
    for file in (PACKAGE / home(group)).glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                above = [getattr(b, "id", getattr(b, "attr", "")) for b in node.bases]
                bases[node.name] = (f"gaze.{home(group)}.{file.stem}.{node.name}", above)
    for name, (target, above) in bases.items():
        if interface in above:  # what several classes share is reached through them
            assert target in named or any(name in others and t in named for t, others in bases.values()), target


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_group_hides_a_key(path):
    """Hydra takes KEY=VALUE for the choice of a group as soon as there is one of that name."""
    config = yaml.safe_load(path.read_text())
    named = [name for entry in config.get("defaults", []) if isinstance(entry, dict) for name in entry]
    groups = {name.removeprefix("override ").split("@")[-1].strip("/") for name in named}
    assert {key for key, value in config.items() if not isinstance(value, dict)} & set(GROUPS) <= groups


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_target_exists(path):
    for target in targets(yaml.safe_load(path.read_text())):
        assert callable(locate(target))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_are_short_and_say_how_to_run_them(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 60
    if path.parent.name in ("model", "experiment", "sweep"):
        assert text.startswith("# @package _global_\n#")
        assert "python -m gaze.train" in text.split("\ndefaults")[0]


@pytest.mark.parametrize("model", options("model"))
def test_every_model_composes_without_a_problem(model):
    assert list(problems(plain_config(composed(f"model={model}")))) == []


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_leaves_nothing_but_what_it_must_be_told(experiment):
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    text = re.sub(r" \\\n#\s+", " ", text)  # a command of two lines
    (command,) = re.findall(r"^#\s+python -m gaze\.train (.*)$", text, re.MULTILINE)
    overrides = [word for word in shlex.split(command) if "..." not in word]
    assert f"experiment={experiment}" in overrides
    found = list(problems(OmegaConf.to_container(composed(*overrides), resolve=True)))
    assert all("a value is missing" in problem for problem in found), found


@pytest.mark.parametrize(
    "name",
    [n for n in NAMES if n.split("/")[0] in ("hardware", "optimizer", "schedule", "logger", "backbone", "dataset")],
)
def test_every_option_of_a_single_choice_group_fits_the_default_stack(name):
    group, option = name.split("/")
    assert list(problems(plain_config(composed("model=gazelle_small", f"{group}={option}")))) == []


@pytest.mark.parametrize("group", ["loss", "metric", "callback"])
def test_all_options_of_a_list_group_fit_the_default_stack(group):
    found = list(problems(plain_config(composed("model=gazelle_small", f"{group}=[{','.join(options(group))}]"))))
    assert all("a value is missing" in problem for problem in found), found


def test_the_command_line_beats_the_model_and_the_model_beats_the_defaults():
    cfg = composed("model=gazelle_dinov3")
    assert cfg.trainer.epochs == 45
    assert composed("model=gazelle_dinov3", "trainer.epochs=3").trainer.epochs == 3
    assert "vit_base" in composed("model=gazelle_dinov3", "backbone=dinov3_vitb16").model.backbone.name


@pytest.mark.parametrize("override", ["trainer.epoch=3", "modle=gazelle_small", "loss.heatmap_bce.wieght=2"])
def test_unknown_keys_are_refused(override):
    with pytest.raises(Exception, match="(?i)could not override|not in struct|did you mean"):
        composed("model=gazelle_small", override)
