"""An autoencoder learns to draw what it sees, measures its latents, and its run is a source of weights."""

import pytest
import torch
import yaml
from torch import nn

from gaze.checkpoints import Checkpoints
from gaze.models.autoencoder import Autoencoder
from gaze.runs import load_model
from gaze.types import PictureInputs
from gaze.vaes.autoencoder_kl import AutoencoderKL
from tests.stubs.vaes import SHAPE, tiny

NODE = {"_target_": "gaze.vaes.autoencoder_kl.AutoencoderKL", **SHAPE}


def pictures(n=4):
    """Bright discs of other places on white."""
    draws = torch.Generator().manual_seed(3)
    centre = 4 + 8 * torch.rand(n, 2, 1, 1, generator=draws)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    inside = (rows - centre[:, 0]).square() + (columns - centre[:, 1]).square() < 12
    return torch.where(inside[:, None], torch.rand(n, 3, 1, 1, generator=draws), 1.0)


def write(path, model, weights):
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    Checkpoints(path / "best").save(1, weights, {})
    return path


def test_it_learns_in_a_few_steps_and_measures_its_latents():
    model, inputs = Autoencoder(tiny(known=False, attention=False)).train(), PictureInputs(pictures())
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        drawn = model(inputs)
        loss = (drawn.image - inputs.image).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    for _ in range(30):
        model(inputs)  # the spread is a running one, and this was a quick training
    assert model.vae.latents(inputs.image).std().item() == pytest.approx(1, abs=0.2)
    model.eval()
    said = model(inputs)
    assert torch.equal(said.image, model(inputs).image)  # the mean, nothing drawn by lot
    assert torch.allclose(said.image, model.vae.decode(model.vae.latents(inputs.image)), atol=1e-5)


def test_latents_are_drawn_by_lot_in_training_only():
    model, inputs = Autoencoder(tiny()).train(), PictureInputs(pictures())
    torch.manual_seed(0)
    first = model(inputs)
    assert not torch.equal(first.image, model(inputs).image)
    torch.manual_seed(0)
    assert torch.equal(first.image, model(inputs).image)
    before = model.vae.scaling_factor.clone()
    model.eval()(inputs)
    assert torch.equal(model.vae.scaling_factor, before)


def test_a_frozen_one_has_nothing_to_learn():
    with pytest.raises(ValueError, match="vae.frozen=false"):
        Autoencoder(tiny(frozen=True))


def test_a_second_stage_takes_the_weights_of_a_run_and_needs_that_run_no_more(tmp_path):
    first = tiny()
    stack = {"_target_": "gaze.models.autoencoder.Autoencoder", "vae": {**NODE, "frozen": False}}
    run = write(tmp_path / "first", stack, Autoencoder(first))
    vae = AutoencoderKL(**SHAPE, weights=str(run))
    assert torch.equal(vae.latents(pictures()), first.latents(pictures()))
    assert vae.frozen
    assert not any(p.requires_grad for p in vae.parameters())

    node = {"_target_": "torch.nn.ModuleList", "modules": [{**NODE, "weights": "gone", "frozen": True}]}
    second = write(tmp_path / "second", node, nn.ModuleList([vae]))
    (loaded,) = load_model(second)  # built without weights: nothing is refused, since the checkpoint has them
    assert torch.equal(loaded.latents(pictures()), first.latents(pictures()))
    again = AutoencoderKL(**SHAPE, weights=str(second))  # so it is a source itself
    assert torch.equal(again.latents(pictures()), first.latents(pictures()))


def test_a_run_of_another_shape_or_without_an_autoencoder_is_refused(tmp_path):
    stack = {"_target_": "gaze.models.autoencoder.Autoencoder", "vae": {**NODE, "frozen": False}}
    run = write(tmp_path / "first", stack, Autoencoder(tiny()))
    with pytest.raises(ValueError, match=r"set vae.widths=\[8,16\]$"):
        AutoencoderKL(**{**SHAPE, "widths": [8, 8, 16]}, weights=str(run))
    other = write(
        tmp_path / "other", {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}, nn.Linear(1, 1)
    )
    with pytest.raises(Exception, match="Linear, which holds no autoencoder.*gazegaussian_vae"):
        AutoencoderKL(**SHAPE, weights=str(other))
    untrained = write(tmp_path / "untrained", stack, Autoencoder(tiny(known=False)))
    with pytest.raises(ValueError, match="scaling_factor is 0"):
        AutoencoderKL(**SHAPE, weights=str(untrained))
