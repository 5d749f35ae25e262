"""A GazeFormer with everything that draws or remembers: two runs are one, also if one of them was interrupted."""

from __future__ import annotations

import json

import pytest
import torch
import yaml

from gaze.hardware import Hardware
from gaze.provenance import provenance
from gaze.runs import build
from gaze.schedules import Cosine
from gaze.synthesis.direction_world import DirectionWorld
from gaze.synthesis.directions import write_directions
from gaze.types import Progress
from tests.test_conf import CONF

PARTS = (
    *("model=gazeformer_tiny", "codebook=both", "prompts=shifted", "schedule=cosine_thousand", "moe.router.noise=0.1"),
    *(
        "fusion.dropout=0.1",
        "fusion.drop_path=0.1",
        "fusion.stream_dropout=0.2",
        "fusion.width=16",
        "codebook.vq.codes=8",
    ),
    "loss=[angular,vmf_nll,separation,prototype_ce,moe_balance,router_z,vq_commit,prompt_delta]",
    "callback=[ema,router,log,checkpoint]",
    *("callback.log.every_steps=1", "hardware.deterministic=warn", "trainer.epochs=2", "dataset.face_size=16"),
)
CLOCK = {"train/samples_per_s"}


def test_a_run_repeats_bit_for_bit_and_says_what_it_was_made_from(continues, tmp_path):
    """T-REPRO-1 and T-CKPT-1: the second run is stopped within an epoch, and continued."""
    world = DirectionWorld(size=16, eyes=False, frames=dict.fromkeys(("train", "val", "test"), 6))
    write_directions(world, tmp_path / "faces", {"train": 2, "val": 1, "test": 0})
    whole, rest = continues(2, *PARTS, f"dataset.source.root={tmp_path / 'faces'}")
    told, again = (run.trainer.run.journal.read() for run in (whole, rest))
    assert [line.step for line in told] == [line.step for line in again] == [1, 2, 3, 3, 4, 5, 6, 6]
    for line, other in zip(told, again, strict=True):
        for name in line.values.keys() - CLOCK:
            assert line.values[name] == other.values[name], (line.step, name)
    assert {"train/loss", "train/vq_commit", "train/router/1/max_vio", "val/error_deg"} <= {
        name for line in told for name in line.values
    }
    assert [line.values["train/lr"] for line in told if "train/lr" in line.values] == pytest.approx(
        [2e-3 * step / 1000 for step in range(1, 7)]
    )
    moved = {"fusion.layers.1.mlp.router.bias", "steering.codebook.vq.codes"}
    assert moved <= whole.moved
    for name in ("router", "ema"):
        state, other = (run.trainer.callbacks[name].state_dict() for run in (whole, rest))
        assert same(state, other), name

    made = json.loads((whole.trainer.run.path / "provenance.json").read_text())
    assert made["data"]["train"]["samples"] == 12
    assert len({made["data"][split]["sha256"] for split in ("train", "val")}) == 2
    config = whole.config
    config.prompts.banks.gaze.entries[0].text += " of the photograph"
    other = provenance(build(config.model), {})["model.steering.prompts"]
    assert {name for name, value in made["model.steering.prompts"].items() if value != other[name]} == {
        "prompts_sha256"
    }


def same(state, other):
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(same(state[key], other[key]) for key in state)
    return torch.equal(state, other) if isinstance(state, torch.Tensor) else state == other


def test_a_thousand_steps_up_then_a_cosine_to_a_hundredth():
    told = yaml.safe_load((CONF / "schedule/cosine_thousand.yaml").read_text())["lr"]
    assert told.pop("_target_") == "gaze.schedules.Cosine"
    rate = Cosine(**told)
    found = [rate(Progress(step, 3001, 100)) for step in (0, 499, 999, 1000, 2000, 3000)]
    assert found == pytest.approx([0.001, 0.5, 1.0, 1.0, 0.505, 0.01])


def test_a_determinism_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"hardware.deterministic is 'warm'; expected true, false or warn"):
        Hardware(device="cpu", deterministic="warm")
