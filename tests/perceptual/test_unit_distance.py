"""The distance of feature maps: what its formula says, with its gradient, in any number format, without keeping more."""

import pytest
import torch
import torch.nn.functional as F

from gaze.perceptual import unit_distance as module
from gaze.perceptual.unit_distance import unit_distance


def plainly(found, truth, head):
    """LPIPS (Zhang et al. 2018), eq. 1, of one level."""
    apart = F.normalize(found.float(), dim=1) - F.normalize(truth.float(), dim=1)
    return (apart.square() * head[:, None, None]).sum(1).mean((1, 2))


def maps(dtype=torch.float32):
    draws = torch.Generator().manual_seed(0)
    found, truth = (torch.randn(3, 8, 5, 7, generator=draws).to(dtype) for _ in range(2))
    return found.contiguous(memory_format=torch.channels_last), truth, torch.rand(8, generator=draws)


@pytest.mark.parametrize("values", [1, 200, 1 << 16])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_it_is_the_formula(monkeypatch, values, dtype, close):
    monkeypatch.setattr(module, "VALUES", values)
    found, truth, head = maps(dtype)
    answers = []
    for measure in (unit_distance, plainly):
        leaf = found.detach().clone().requires_grad_()
        distance = measure(leaf, truth, head)
        answers.append((distance, torch.autograd.grad((distance * torch.tensor([1.0, 2.0, -3.0])).sum(), leaf)[0]))
    torch.testing.assert_close(answers[0][0], answers[1][0], rtol=1e-5, atol=1e-6)
    assert answers[0][1].dtype == dtype
    torch.testing.assert_close(answers[0][1], answers[1][1], rtol=close, atol=close * answers[1][1].abs().max())


def test_nothing_but_the_maps_is_kept_for_the_backward_pass():
    found, truth, head = maps()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
        unit_distance(found.requires_grad_(), truth, head)
    assert kept == [found.data_ptr(), truth.data_ptr(), head.data_ptr()]


def test_cells_of_nothing_have_finite_gradients_and_a_truth_has_none():
    found, truth, head = maps()
    leaf = torch.zeros_like(found).requires_grad_()
    unit_distance(leaf, truth, head).sum().backward()
    assert leaf.grad.isfinite().all()
    with pytest.raises(ValueError, match="detach it"):
        unit_distance(found, truth.requires_grad_(), head)
