"""What the README shows works as it is shown."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_module

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language; "" for those without."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.S | re.M)
    return [text for name, text in fences if name == language]


def test_the_backbone_it_adds_is_one():
    code, config = next(b for b in blocks("python") if "class Tiny" in b), yaml.safe_load(blocks("yaml")[0])
    scope: dict = {}
    exec(compile(code, "tiny.py", "exec"), scope)
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    assert config["_target_"] == "gaze.backbones.tiny.Tiny"
    backbone = scope["Tiny"](**arguments)
    features = backbone(torch.rand(2, 3, 64, 48))
    assert features.shape == (2, backbone.channels, 64 // backbone.stride, 48 // backbone.stride)
    assert {id(p) for block in backbone.blocks() for p in block} == {id(p) for p in backbone.parameters()}


COMMANDS = [line for block in blocks("") for line in block.splitlines()]
TRAINING = [
    c.split("#")[0].split("gaze.train ")[1] for c in COMMANDS if "gaze.train model" in c or "gaze.train -m" in c
]


@pytest.mark.parametrize("command", TRAINING)
def test_its_training_commands_compose(command):
    if "backbone=tiny" in command or "$(" in command:
        pytest.skip("needs the file that the README adds")
    words = [w.strip("'") for w in command.split() if w not in ("-m", "--cfg", "job", "--resolve")]
    with initialize_config_module("gaze.conf"):
        assert compose("train", overrides=words).model._target_.startswith("gaze.models.")


def test_the_files_it_names_exist():
    for name in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"python (tools/\w+\.py)", README):
        assert (ROOT / name).is_file(), name
