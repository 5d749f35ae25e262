"""Parameters and tags are what MLflow accepts and a person can read, and hold no secret."""

import posixpath
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.loggers.description import document, parameters, tags
from gaze.loggers.masking import masked, without_credentials

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
configs = st.recursive(
    leaves, lambda node: st.lists(node, max_size=3) | st.dictionaries(st.text(max_size=6), node, max_size=3)
)


def test_flattens_to_dotted_keys_with_classes_apart():
    config = {
        "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-4, "betas": [0.9, 0.999]},
        "backbone@model.backbone": None,
        "steps": [{"at": 1}, {"at": 2}],
        "amp": True,
    }
    assert parameters(config) == {
        "target.optimizer": "torch.optim.AdamW",
        "optimizer.lr": "0.0001",
        "optimizer.betas": "[0.9, 0.999]",
        "backbone_model.backbone": "null",
        "steps.0.at": "1",
        "steps.1.at": "2",
        "amp": "true",
    }


@given(st.dictionaries(st.text(min_size=1, max_size=300), configs, max_size=5))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_every_config_becomes_valid_parameters(config):
    for key, value in parameters(config).items():
        assert re.fullmatch(r"[A-Za-z0-9_\-. :/]{1,250}", key)
        assert posixpath.normpath(key) == key  # MLflow takes keys as paths
        assert len(value) <= 6000


def test_keys_that_become_the_same_stay_apart():
    assert parameters({"a@b": 1, "a+b": 2, "a_b": 3}) == {"a_b": "1", "a_b_2": "2", "a_b_3": "3"}


def test_tags_use_the_places_that_mlflow_has():
    found = tags({"command": "train", "git": {"commit": "abc", "dirty": False}, "cuda": None}, ["a=1", "b=2"])
    assert found["mlflow.source.git.commit"] == "abc"
    assert found["mlflow.source.name"] == "train"
    assert found["git.dirty"] == "false"
    assert found["overrides"] == "a=1 b=2"
    assert "cuda" not in found


def test_many_packages_become_one_tag():
    found = tags({"packages": {f"p{i}": str(i) for i in range(100)}}, [])
    assert found["packages"].startswith("p0 0, p1 1, ")
    assert len(found) == 2


@pytest.mark.fault("X5")
@pytest.mark.parametrize(
    "text",
    [
        "token: abc",
        "a:\n  db_password: 'abc'",
        '{"api_key": "abc", "x": 1}',
        "- model.hub_token=abc",
        "python -m gaze.train logger.secret=abc seed=1",
        "uri: postgresql://me:abc@host/db",
        "AWS_SECRET_ACCESS_KEY=abc",
    ],
)
def test_masks_secrets_and_keeps_the_format(text):
    clean = masked(text)
    assert "abc" not in clean
    assert "<masked>" in clean
    yaml.safe_load(clean)


@pytest.mark.parametrize(
    "text", ["patch_tokens: 256", "cls_token: true", "n_tokens: [1, 2]", "token: null", "token_pool: mean"]
)
def test_leaves_what_is_no_secret(text):
    assert masked(text) == text


def test_uri_without_credentials():
    assert without_credentials("http://me:pw@host:5000/x") == "http://host:5000/x"
    assert without_credentials("sqlite:////a/b.db") == "sqlite:////a/b.db"


@pytest.mark.fault("X2")
def test_a_bomb_of_aliases_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    with pytest.raises(ValueError, match="aliases"):
        document(file)
    file.write_text("a: [")
    with pytest.raises(ValueError, match="not YAML"):
        document(file)
