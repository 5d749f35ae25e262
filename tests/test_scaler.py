"""Our way to a step against the one of torch's own scaler with a scale of 1."""

import math

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from gaze.scaler import Scaler, step_if_finite

FACTORS = (1.0, 2.0, math.inf, -0.5, math.nan, 3.0)  # of the loss, step by step


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def loss_of(net, factor):
    """One whose gradients are finite where it is infinite."""
    loss = net(torch.ones(2, 3)).square().mean()
    return loss * factor if math.isfinite(factor) else loss + factor


def with_torch(net, optimizer, passes, clip_norm):
    scaler = GradScaler("cpu", init_scale=1.0)
    for factor in FACTORS:
        for part in range(passes):
            loss = loss_of(net, factor + part)
            loss = loss * torch.where(loss.isfinite(), 1.0, torch.nan)
            scaler.scale(loss / passes).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), clip_norm or math.inf)
        scaler.step(optimizer)
        scaler.update(1.0)
        optimizer.zero_grad()


def with_ours(net, optimizer, passes, clip_norm, flag):
    scaler = Scaler("cpu", dynamic=False)
    for factor in FACTORS:
        for part in range(passes):
            scaler.backward(loss_of(net, factor + part), passes)
        norm = nn.utils.get_total_norm([p.grad for p in net.parameters()])
        if clip_norm:
            nn.utils.clip_grads_with_norm_(net.parameters(), clip_norm, norm)
        step_if_finite(optimizer, norm) if flag else scaler.advance(optimizer, norm)
        optimizer.zero_grad()


@pytest.mark.parametrize("flag", [True, False], ids=["a flag on the device", "read by the host"])
@pytest.mark.parametrize(("passes", "clip_norm"), [(1, None), (3, 0.1)])
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_steps_are_those_of_torch_s_scaler_bit_for_bit(kind, passes, clip_norm, flag):
    theirs, ours = model(), model()
    with_torch(theirs, kind(theirs.parameters(), lr=0.1, fused=True), passes, clip_norm)
    with_ours(ours, kind(ours.parameters(), lr=0.1, fused=True), passes, clip_norm, flag)
    for one, other in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.isfinite().all()


def test_a_scale_that_adapts_is_kept_and_one_of_another_format_is_passed_over():
    dynamic, fixed = Scaler("cpu", dynamic=True), Scaler("cpu", dynamic=False)
    dynamic.load_state_dict(fixed.state_dict())
    assert dynamic.get_scale() == 65536.0
    fixed.load_state_dict(dynamic.state_dict())
    assert fixed.get_scale() == 1.0
