"""Latents near those of the photograph."""

from dataclasses import replace

import pytest
import torch

from gaze.errors import UserError
from gaze.head_regions import on_white
from gaze.losses.latent import LatentL1
from gaze.types import FacePrediction
from tests.losses.some_heads import NOW, batch
from tests.stubs.vaes import tiny

HEADS = batch()


def right(vae, heads=HEADS):
    return vae.latents(on_white(heads.targets.image, heads.targets.head_mask)).detach()


def said(latent):
    return FacePrediction(torch.zeros_like(HEADS.targets.image), latent=latent)


@pytest.mark.parametrize("gigabytes", [0.0, 1.0])
def test_it_is_the_distance_from_latents_of_the_head_on_white(gigabytes):
    vae = tiny(frozen=True)
    loss = LatentL1(vae, gigabytes)
    assert float(loss(said(right(vae)), HEADS, NOW)) == pytest.approx(0, abs=1e-3)  # kept in float16
    assert float(loss(said(right(vae) + 0.5), HEADS, NOW)) == pytest.approx(0.5, abs=1e-3)
    behind = torch.where(HEADS.targets.head_mask[:, None], HEADS.targets.image, 0.3)
    moved = replace(HEADS, targets=replace(HEADS.targets, image=behind))
    assert float(loss(said(right(vae)), moved, NOW)) == pytest.approx(0, abs=1e-3)


def test_the_gradient_reaches_the_prediction_only_and_a_photograph_is_encoded_once():
    vae = tiny()
    asked = []
    vae.encoder.register_forward_pre_hook(lambda _, args: asked.append(len(args[0])))
    loss = LatentL1(vae)
    latent = torch.zeros(2, 4, 12, 12, requires_grad=True)
    for _ in range(3):
        loss(said(latent), HEADS, NOW).backward()
    assert asked == [2]
    assert latent.grad.abs().sum() > 0
    assert all(p.grad is None for p in vae.parameters())


def test_what_can_not_work_is_refused():
    with pytest.raises(ValueError, match="no vae.*vae=tiny"):
        LatentL1(None)
    with pytest.raises(UserError, match="random.*gazegaussian_vae"):
        LatentL1(tiny(frozen=True, known=False))
    loss = LatentL1(tiny(frozen=True))
    with pytest.raises(ValueError, match="draws no latents"):
        loss(said(None), HEADS, NOW)
    with pytest.raises(ValueError, match=r"\(4, 6, 6\).*\(4, 12, 12\)"):
        loss(said(torch.zeros(2, 4, 6, 6)), HEADS, NOW)
