"""Weights from another run."""

import logging
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from gaze.errors import UserError
from gaze.inits import MeshToGaussians, Sphere, Weights
from tests.avatars.heads import small_mesh_head


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


@pytest.mark.fault("X3")
def test_missing_tensors_are_refused(finished):
    with pytest.raises(ValueError, match=r"2 of 6 tensors: inout.weight is not there.*init.exclude"):
        Weights("outputs/first")(second_stage())


@pytest.mark.fault("X3")
def test_other_shapes_are_refused(finished):
    with pytest.raises(ValueError, match=r"head.weight is \(2, 4\) there and \(5, 4\) here"):
        Weights("outputs/first", exclude=["inout.*"])(second_stage(outputs=5))


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_a_glob_without_a_match_is_refused(finished, key):
    with pytest.raises(ValueError, match=rf"init.{key}: 'backbon.\*' matches no tensor.*backbone.weight"):
        Weights("outputs/first", **{key: ["backbon.*"]})(second_stage())


def test_a_mesh_head_begins_as_a_sphere(caplog):
    head = small_mesh_head()
    with caplog.at_level(logging.INFO, "gaze.inits"):
        Sphere(0.7, centre=(0.2, 0.0, -0.1), steps=100, points=512, lr=1e-2)(nn.ModuleDict({"backbone": head}))
    radii = (head.neutral_surface().points - torch.tensor([0.2, 0.0, -0.1])).norm(dim=1)
    assert radii.mean() == pytest.approx(0.7, abs=0.05)
    assert radii.std() < 0.08
    assert "a sphere of radius 0.7, off by" in caplog.text
    assert all(p.grad is None for p in head.parameters())
    same = small_mesh_head()
    Sphere(0.7, centre=(0.2, 0.0, -0.1), steps=100, points=512, lr=1e-2)(nn.ModuleDict({"backbone": same}))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), same.parameters(), strict=True))


def test_a_sphere_needs_a_mesh_head_and_a_size():
    with pytest.raises(ValueError, match=r"init=sphere fits backbone.signed_distance.*backbone=mesh_head"):
        Sphere()(second_stage())
    with pytest.raises(ValueError, match="init.radius is 0"):
        Sphere(radius=0.0)


def test_the_second_stage_says_how_to_make_the_first():
    with pytest.raises(UserError, match=r"init.run is null.*python -m gaze.train model=gazegaussian_mesh.*init.run="):
        MeshToGaussians()
