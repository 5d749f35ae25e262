"""Banks for tests, as they stand in a config."""

import copy

import yaml

from tests.groups import CONF

WIDTH = 32


def banks(**changes):
    """The banks of conf/prompts/default.yaml; a change of None takes one out."""
    files = {
        name: CONF / "prompts" / "bank" / f"{name}.yaml" for name in ("illumination", "head_pose", "background", "gaze")
    }
    made = {name: yaml.safe_load(file.read_text()) for name, file in files.items()} | changes
    return {name: copy.deepcopy(bank) for name, bank in made.items() if bank is not None}
