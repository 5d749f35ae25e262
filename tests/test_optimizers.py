"""Parameter groups by glob."""

import math
from functools import partial

import pytest
import torch

from gaze.optimizers import grouped
from gaze.scaler import Scaler, step_if_finite
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


@pytest.fixture
def unfilled():
    """Memory that nobody has filled holds NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def momenta(net, trained, factors, fused, take):
    """Weights after steps with gradients times `factors`; `trained[i]` is how many of the parameters train in step i."""
    optimizer = grouped(net, partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1, fused=fused))
    for number, factor in zip(trained, factors, strict=True):
        for i, parameter in enumerate(net.parameters()):
            parameter.grad = torch.full_like(parameter, 0.3 * factor) if i < number else None
        take(optimizer)
    return [parameter.detach() for parameter in net.parameters()]


def by_flag(optimizer):
    step_if_finite(optimizer, optimizer.param_groups[0]["params"][0].grad.sum())


@pytest.mark.parametrize("scaled", [False, True])
def test_momentum_begins_at_zero_where_the_first_step_is_left_out(scaled, unfilled):
    net, plain = Net(), Net()
    plain.load_state_dict(net.state_dict())
    scaler = Scaler("cpu", dynamic=True)
    take = (lambda optimizer: scaler.advance(optimizer, torch.zeros(()))) if scaled else by_flag
    scale = scaler.scale(torch.ones(())).item() if scaled else 1.0  # and half of it from the step left out on
    ours = momenta(net, (4, 4, 4), (math.inf, scale / (1 + scaled), scale / (1 + scaled)), True, take)
    theirs = momenta(plain, (4, 4), (1.0, 1.0), None, lambda optimizer: optimizer.step())
    torch.testing.assert_close(ours, theirs)


def test_momentum_of_what_thaws_within_a_group_begins_as_that_of_an_optimizer_that_is_not_fused():
    net, plain = Net(), Net()
    plain.load_state_dict(net.state_dict())
    args = (1, 1, 4, 4), (1.0, 2.0, 1.0, 2.0)
    ours = momenta(net, *args, True, lambda optimizer: optimizer.step())
    torch.testing.assert_close(ours, momenta(plain, *args, None, lambda optimizer: optimizer.step()))
