"""Weights from another run."""

import logging
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from gaze.errors import UserError
from gaze.inits import MeshToGaussians, Weights


@pytest.fixture
def finished(monkeypatch):
    """A run whose model has a backbone and a head; loading any directory gives it."""
    model = nn.ModuleDict({"backbone": nn.Linear(3, 4), "head": nn.Linear(4, 2)})
    runs = ModuleType("gaze.runs")
    runs.load_model = lambda run: model
    monkeypatch.setitem(sys.modules, "gaze.runs", runs)
    return model


def second_stage(outputs=2):
    return nn.ModuleDict({"backbone": nn.Linear(3, 4), "head": nn.Linear(4, outputs), "inout": nn.Linear(4, 1)})


def test_copies_what_matches_and_says_so(finished, caplog):
    model = second_stage()
    before = model["inout"].weight.clone()
    with caplog.at_level(logging.INFO, "gaze.inits"):
        Weights("outputs/first", exclude=["inout.*"])(model)
    assert torch.equal(model["head"].weight, finished["head"].weight)
    assert torch.equal(model["inout"].weight, before)
    assert "4 tensors: backbone.weight, backbone.bias, head.weight, head.bias" in caplog.text
    assert "2 tensors keep their own start: inout.weight, inout.bias" in caplog.text


def test_copies_are_not_shared(finished):
    model = second_stage()
    Weights("outputs/first", include=["backbone.*"])(model)
    with torch.no_grad():
        model["backbone"].weight.zero_()
    assert finished["backbone"].weight.abs().sum() > 0


def test_missing_tensors_are_refused(finished):
    with pytest.raises(ValueError, match=r"2 of 6 tensors: inout.weight is not there.*init.exclude"):
        Weights("outputs/first")(second_stage())


def test_other_shapes_are_refused(finished):
    with pytest.raises(ValueError, match=r"head.weight is \(2, 4\) there and \(5, 4\) here"):
        Weights("outputs/first", exclude=["inout.*"])(second_stage(outputs=5))


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_glob_without_a_match_is_refused(finished, key):
    with pytest.raises(ValueError, match=rf"init.{key}: 'backbon.\*' matches no tensor.*backbone.weight"):
        Weights("outputs/first", **{key: ["backbon.*"]})(second_stage())


def test_the_second_stage_says_how_to_make_the_first():
    with pytest.raises(UserError, match=r"init.run is null.*python -m gaze.train model=gazegaussian_mesh.*init.run="):
        MeshToGaussians()
