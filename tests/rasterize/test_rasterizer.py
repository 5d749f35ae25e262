"""Our drawing of Gaussians against a slow reference, and what must hold of any."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from gaze.rasterize.gaussians import Gaussians
from gaze.rasterize.rasterizer import Rasterizer
from tests.rasterize.brute import drawn
from tests.rasterize.clouds import cloud, view

SIZE = (20, 28)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", [{}, {"number": 120, "opacity": (0.9, 1.0)}])
def test_pictures_and_gradients_are_those_of_the_reference(kind, antialiased):
    gaussians = cloud(**kind).map(lambda t: t.requires_grad_())
    turn, camera = view()
    ours = Rasterizer("torch", antialiased=antialiased)(gaussians, turn, camera, SIZE)
    theirs = drawn(gaussians, turn, camera, SIZE, antialiased=antialiased)
    for found, expected in zip((ours.feature, ours.alpha, ours.depth), theirs, strict=True):
        torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)
    pull = [torch.randn(t.shape, dtype=t.dtype, generator=torch.Generator().manual_seed(1)) for t in theirs]
    tensors = [getattr(gaussians, f.name) for f in fields(Gaussians)]
    found = torch.autograd.grad(
        sum((o[0] * p).sum() for o, p in zip((ours.feature, ours.alpha, ours.depth), pull, strict=True)), tensors
    )
    expected = torch.autograd.grad(sum((t * p).sum() for t, p in zip(theirs, pull, strict=True)), tensors)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6 * float(other.abs().max()))
