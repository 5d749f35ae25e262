"""Published recipes of 3D gaze are what their authors ran, by CNNs alone, and baselines have losses that suit them."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch._subclasses.fake_tensor import FakeTensorMode

from gaze.losses.objective import Objective
from gaze.runs import build, chosen, plain_config, without_weights
from gaze.schedules import Constant, Step
from gaze.types import Batch, DirectionInputs, DirectionTargets, Progress

# Those of two stages or sizes are read where they end. Rate, betas; schedule; epochs, samples a step; loss; face, px.
RECIPES = {
    "gaze360_lstm": (1e-4, [0.9, 0.999], Constant, 80, 80, "pinball", 224),
    "xgaze_resnet50": (1e-4, [0.9, 0.999], Step, 25, 50, "pitchyaw_l1", 224),
    "l2cs_mpiifacegaze": (1e-5, [0.9, 0.999], Constant, 50, 16, "l2cs", 448),
    "gazetr_mpiifacegaze": (5e-4, [0.9, 0.95], Step, 80, 512, "pitchyaw_l1", 224),
}
# Parameters of the published networks. Beside Gaze360's ours has one layer, from the LSTMs back to the frame's 256 numbers.
SIZES = {
    "gaze360_lstm": 14_576_939 + (512 + 1) * 256 - 256 * 3,
    "xgaze_resnet50": 23_508_032 + (2048 + 1) * 2,
    "l2cs_mpiifacegaze": 23_508_032 + (2048 + 1) * 2 * 28,
    "gazetr_mpiifacegaze": 11_420_738,
}

FACES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TRUTH = DirectionTargets(torch.tensor([[0.6, 0.0, -0.8], [0.0, 0.0, -1.0]]))
NOW = Progress(0, 10, 5)


def composed(*overrides):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[*overrides, "dir=unused"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_the_published_one_and_needs_no_clip(recipe):
    rate, betas, schedule, epochs, samples, loss, face_px = RECIPES[recipe]
    config = composed(f"experiment={recipe}")
    adam, trainer = config.optimizer.optimizer, config.trainer
    assert (adam._target_, adam.lr, list(adam.betas), adam.weight_decay) == ("torch.optim.Adam", rate, betas, 0)
    rates = {name: options["lr"] for name, options in config.optimizer.overrides.items()}
    assert rates.pop("backbone") == rate
    assert not config.optimizer.undecayed
    assert get_class(config.schedule.lr._target_) is schedule
    assert (trainer.epochs, trainer.batch_size, trainer.clip_norm) == (epochs, samples, None)
    assert list(config.loss) == [loss]
    assert (config.dataset.face_size, config.name) == (face_px, recipe)
    assert "ema" not in config.callback
    assert config.clip is None
    kept = [a["_target_"].rsplit(".", 1)[1] for a in config.dataset.augmentations]
    assert kept == (["ResizedCrop"] if recipe == "gaze360_lstm" else [])
    if recipe == "l2cs_mpiifacegaze":
        bins = (config.head.bins, config.head.bin_deg, config.loss.l2cs.bin_deg)
        assert bins == (28, 3, 3)
        assert (config.dataset.yaw_max_deg, config.dataset.pitch_max_deg) == (42, 42)
    still = ["backbone.network.conv1", "backbone.network.bn1"] if loss == "l2cs" else []
    assert rates == dict.fromkeys(still, 0)
    with FakeTensorMode(allow_non_fake_inputs=True):  # shapes without numbers, and no weights to fetch
        model = build(OmegaConf.create(without_weights(plain_config(config.model))))
        side = [7] if recipe == "gaze360_lstm" else []
        said = model(DirectionInputs(torch.zeros(2, *side, 3, face_px, face_px)))
    assert said.gaze.shape == (2, 3)
    assert sum(p.numel() for p in model.parameters()) == SIZES[recipe]
    names = dict(model.named_parameters())
    assert all(any(name.startswith(f"{glob}.") for name in names) for glob in config.optimizer.overrides)


@pytest.mark.parametrize("baseline", ["gaze_l2cs", "gaze_pinball", "seed_baseline", "ablate_experts"])
def test_a_baseline_is_one_override_whose_losses_all_move_something(baseline):
    config = composed("model=gazeformer_tiny", f"experiment={baseline}")
    torch.manual_seed(0)
    model, objective = build(config.model).train(), Objective(chosen(config, "loss")).train()
    loss, terms = objective(model(DirectionInputs(FACES)), Batch(DirectionInputs(FACES), TRUTH, torch.arange(2)), NOW)
    loss.backward()
    assert set(terms) - {"loss"} == set(config.loss)
    idle = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not {name for name in idle if name.startswith(("backbone.", "fusion.", "output."))}
