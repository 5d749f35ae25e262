"""Two stages, a correction for each sample, weights that switch on later, and another run's model inside a loss."""

from __future__ import annotations

import shutil

import pytest
import torch

from gaze.runs import load_model

FIRST = ("model=render_stub", "callback.log.every_steps=1")


@pytest.fixture(scope="module")
def made():
    """Runs that the tests only look at."""
    return {}


@pytest.fixture
def stages(train, tmp_path_factory, made):
    """The first stage, a direction run, and the overrides of a second stage on top of them."""
    if "stages" not in made:
        root = tmp_path_factory.mktemp("redirection")
        first = train(root / "first", *FIRST, "trainer.epochs=2")
        direction = train(root / "direction", "model=direction_stub")
        second = [
            "model=render_stub_refine",
            f"init.run={root / 'first'}",
            f"loss.gaze_consistency.estimator.run={root / 'direction'}",
            "callback.log.every_steps=1",
            "trainer.epochs=2",
        ]
        made["stages"] = first, direction, second
    return made["stages"]


@pytest.fixture
def second(train, tmp_path_factory, stages, made):
    """The second stage."""
    if "second" not in made:
        made["second"] = train(tmp_path_factory.mktemp("redirection") / "second", *stages[2])
    return made["second"]


def test_only_corrections_of_samples_seen_move_at_a_rate_of_their_own_and_are_saved(train, tmp_path):
    run = train(tmp_path, *FIRST)
    seen = {key.sample for batch in run.trainer.plan for key in batch}
    assert len(seen) == 8  # two steps of four of the ten
    before, after = run.started_from["corrections.weight"], run.weights["corrections.weight"]
    assert {i for i in range(10) if not torch.equal(before[i], after[i])} == seen
    assert torch.equal(run.saved["corrections.weight"], after)
    rates = run.journal("train/lr"), run.journal("train/lr_1")
    assert all(rates[0][step] == pytest.approx(50 * rates[1][step]) for step in (1, 2))
    groups = {group["base_lr"]: len(group["params"]) for group in run.trainer.optimizer.param_groups}
    assert groups[0.05] == 1


def test_the_first_stage_continues_exactly(continues):
    continues(3, *FIRST, "trainer.epochs=2")


def test_the_second_stage_starts_from_the_first(stages, second):
    first, run = stages[0], second
    source = load_model(first.trainer.run.path).state_dict()
    assert {name for name in run.started_from if name not in source} == {"refine.1.weight", "refine.1.bias"}
    for name, tensor in source.items():
        assert torch.equal(run.started_from[name], tensor), name
    assert run.moved == set(run.weights)


def test_the_first_stage_is_built_from_its_own_config(train, tmp_path, stages):
    """Were it built from the second's, it would have the second's width and its weights would not fit it."""
    _, _, second = stages
    with pytest.raises(ValueError, match=r"init from .*first does not fit .* there and .* here"):
        train(tmp_path / "second", *second, "model.width=6")


def test_init_runs_at_the_start_and_not_when_a_run_goes_on(continues, tmp_path, stages):
    first, _, second = stages
    shutil.copytree(first.trainer.run.path, tmp_path / "first")

    def gone():
        (tmp_path / "first").rename(tmp_path / "away")

    whole, rest = continues(3, *second, f"init.run={tmp_path / 'first'}", between=gone)
    assert whole.figure == rest.figure


def test_a_term_switches_on_at_its_epoch(second):
    terms = {name: second.journal(f"train/{name}") for name in ("loss", "photometric", "edges", "gaze_consistency")}
    assert sorted(terms["photometric"]) == [1, 2, 3, 4]
    assert sorted(terms["edges"]) == [3, 4]
    for step in (3, 4):
        total = terms["photometric"][step] + 0.5 * terms["edges"][step] + 0.1 * terms["gaze_consistency"][step]
        assert terms["loss"][step] == pytest.approx(total, rel=1e-5)


def test_another_run_s_model_in_a_loss_stays_what_it_is(stages, second):
    direction, run = stages[1], second
    estimator = run.trainer.objective.terms["gaze_consistency"].estimator
    assert not any(module.training for module in estimator.modules())
    assert all(p.grad is None and not p.requires_grad for p in estimator.parameters())
    for name, tensor in load_model(direction.trainer.run.path).state_dict().items():
        assert torch.equal(estimator.state_dict()[name], tensor), name
    trained = {id(p) for group in run.trainer.optimizer.param_groups for p in group["params"]}
    assert not trained & {id(p) for p in estimator.parameters()}
    assert set(run.saved) == set(run.weights)
    assert "estimator" not in str(sorted(run.trainer.state_dict()["callbacks"]))


def test_what_the_other_run_s_model_sees_reaches_the_renderer(train, tmp_path, stages):
    run = train(tmp_path / "second", *stages[2], "loss.photometric.weight=0", "trainer.epochs=1")
    assert {"paint", "refine"} <= {name.split(".")[0] for name in run.moved}
    assert run.journal("train/loss")[1] == pytest.approx(0.1 * run.journal("train/gaze_consistency")[1], rel=1e-5)
