"""Parameter groups by glob."""

import pytest
import torch

from gaze.optimizers import grouped
from tests.stubs.line import Net


def sgd(groups):
    return torch.optim.SGD(groups, lr=0.1, weight_decay=0.01)


def settings_of(optimizer, parameter):
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    return group["lr"], group["weight_decay"]


def test_globs_give_options_and_later_ones_refine_earlier_ones():
    model = Net()
    optimizer = grouped(model, sgd, {"backbone.*": {"lr": 0.001}, "*.bias": {"weight_decay": 0.0}})
    assert settings_of(optimizer, model.head.weight) == (0.1, 0.01)
    assert settings_of(optimizer, model.head.bias) == (0.1, 0.0)
    assert settings_of(optimizer, model.backbone.stem.weight) == (0.001, 0.01)
    assert settings_of(optimizer, model.backbone.stem.bias) == (0.001, 0.0)
    assert all(g["base_lr"] == g["lr"] for g in optimizer.param_groups)


def test_every_parameter_is_held_once_even_when_frozen():
    model = Net().requires_grad_(False)
    held = [p for g in grouped(model, sgd).param_groups for p in g["params"]]
    assert sorted(map(id, held)) == sorted(map(id, model.parameters()))


def test_a_glob_that_matches_nothing_lists_the_modules():
    with pytest.raises(ValueError, match=r"'backbon\.\*' matches no parameter.*backbone\.stem.*head"):
        grouped(Net(), sgd, {"backbon.*": {"lr": 0.1}})


def test_what_is_not_to_shrink_keeps_its_other_options_and_takes_the_vectors_with_it():
    model = Net()
    optimizer = grouped(model, sgd, {"backbone.*": {"lr": 0.001}}, undecayed=["*.stem.weight", "*position*"])
    assert settings_of(optimizer, model.backbone.stem.weight) == (0.001, 0.0)
    assert settings_of(optimizer, model.head.bias) == (0.1, 0.0)
    assert settings_of(optimizer, model.head.weight) == (0.1, 0.01)
