"""A mixture on a GPU never makes the processor wait for the device: neither forward nor backward."""

import pytest
import torch

from gaze.moe.mixture import Mixture


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("backend", ["auto", "padded_bmm"])
@pytest.mark.parametrize("capacity", [None, 1.25])
@pytest.mark.parametrize("masked", [False, True])
def test_experts_on_a_gpu_wait_for_nothing(amp, backend, capacity, masked):
    mixture = Mixture(64, experts=8, top_k=2, hidden=64, capacity_factor=capacity, backend=backend).cuda().train()
    tokens = torch.randn(4, 50, 64, device="cuda", requires_grad=True)
    seen = torch.rand(4, 50, device="cuda") < 0.9 if masked else None
    for step in range(3):  # libraries may wait when they are first called
        torch.cuda.set_sync_debug_mode("error" if step else "default")
        try:
            with torch.autocast("cuda", torch.bfloat16, enabled=amp):
                found, balance, router_z = mixture(tokens, seen)
            (found.float().square().mean() + balance + router_z).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert bool(tokens.grad.isfinite().all())
