"""The recipes of reference 4.1 are what they say, whatever model they are given to."""

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import get_class

from gaze.runs import plain_config
from gaze.schedules import Cosine, Exponential, Linear, Step
from gaze.signatures import problems

# Optimizer, rate, decay; schedule; epochs, samples a step; loss. Each model has a recipe of its own, which must leave nothing.
RECIPES = {
    "pog_malfoy": ("AdamW", 5e-4, 0.05, Cosine, 50, 512, "point_smooth_l1"),
    "pog_finetune": ("AdamW", 1e-4, 0.05, Cosine, 30, 64, "point_smooth_l1"),
    "pog_gaze2021": ("AdamW", 1e-4, 0.05, Exponential, 32, 24, "point_smooth_l1"),
    "pog_itracker_paper": ("SGD", 1e-3, 5e-4, Step, 31, 256, "point_mse"),
    "pog_affnet_paper": ("Adam", 1e-3, 5e-4, Step, 12, 256, "point_smooth_l1"),
    "pog_cpu": ("AdamW", 2e-3, 0.02, Linear, 10, 64, "point_smooth_l1"),
}
OTHERS = {name: "pog_affnet" if name == "pog_itracker_paper" else "pog_itracker" for name in RECIPES}


def composed(*overrides):
    with initialize_config_module("gaze.conf"):
        return compose("train", overrides=[*overrides, "dir=unused"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_takes_the_place_of_the_one_that_a_model_has(recipe):
    optimizer, rate, decay, schedule, epochs, samples, loss = RECIPES[recipe]
    config = composed(f"model={OTHERS[recipe]}", f"experiment={recipe}")
    assert list(problems(plain_config(config))) == []
    chosen = config.optimizer.optimizer
    assert (chosen._target_, chosen.lr, chosen.weight_decay) == (f"torch.optim.{optimizer}", rate, decay)
    assert get_class(config.schedule.lr._target_) is schedule
    trainer = config.trainer
    assert (trainer.epochs, trainer.effective_batch_size or trainer.batch_size) == (epochs, samples)
    assert [name for name, node in config.loss.items() if "_target_" in node] == [loss]
    assert ("*.bias" in config.optimizer.overrides) == (recipe == "pog_itracker_paper")
    assert bool(config.optimizer.undecayed) == (optimizer == "AdamW")  # norms, biases and positions do not shrink
    if loss == "point_smooth_l1":
        terms = config.loss.point_smooth_l1
        assert (terms.weight, terms.hardest) == (
            4.0 if recipe == "pog_affnet_paper" else 1.0,
            0.3 if recipe == "pog_gaze2021" else 0.0,
        )


def test_the_stack_is_the_seed_s_recipe():
    plain, named = (plain_config(composed("model=pog_gazetr", *more)) for more in ([], ["experiment=pog_malfoy"]))
    assert plain == named
    assert plain["schedule"]["lr"]["warmup_epochs"] == 3.0
    assert plain["callback"]["ema"]["decay"] == 0.9998
    assert plain["trainer"]["clip_norm"] == 1.0


def test_fine_tuning_holds_the_trunks_and_lets_people_count_alike():
    config = composed("model=pog_affnet", "experiment=pog_finetune")
    assert config.dataset.balance == 1.0
    assert [a._target_.rsplit(".", 1)[1] for a in config.dataset.augmentations] == ["Flip", "Photometric", "LabelNoise"]
    assert config.callback.unfreeze.hold_epochs == 5
    assert config.optimizer.overrides["trunks.*"].lr == 1e-5


@pytest.mark.parametrize("experiment", ["pog_mobile_distill", "screens_distill"])
def test_a_student_s_head_is_its_model_s_with_a_projection(experiment):
    config = composed(f"experiment={experiment}", "loss.point_distillation.teacher.run=somewhere")
    assert list(problems(plain_config(config))) == []
    assert config.head._target_.endswith("Projected")
    assert config.head.activation._target_ == "torch.nn.Hardswish"
    weights = {name: node.weight for name, node in config.loss.items()}
    assert weights == {"point_smooth_l1": 0.5, "point_distillation": 0.5}
    assert config.loss.point_distillation.features * weights["point_distillation"] == pytest.approx(0.1)
