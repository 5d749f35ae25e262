"""Compiling is told and counted, and one graph serves any number of people. With torch's backend that compiles nothing."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from gaze.hardware import Hardware
from gaze.types import SceneInputs
from tests.stubs.training import line_trainer


@pytest.fixture(autouse=True)
def anew():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


class Brightness(nn.Module):
    """What is seen of each person, times a weight. A model of ours would be traced with the checks of shapes in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, inputs):
        return inputs.image.mean((1, 2, 3))[inputs.image_index] * (inputs.head_bbox * self.weight).sum(1)


def scene(people: int) -> SceneInputs:
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5]]).repeat(people, 1)
    return SceneInputs(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), boxes, torch.arange(people) % 2)


@pytest.mark.parametrize(("numbers", "graphs"), [((3, 2, 5, 6, 4), 1), ((1, 2, 3, 4, 5, 6), 2)])
def test_one_graph_serves_any_number_of_people_but_a_single_one(numbers, graphs):
    hardware = Hardware(device="cpu", compile="eager", workers=0)
    net = hardware.compiled(Brightness())
    for people in numbers:
        assert len(net(hardware.place(scene(people)))) == people
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


def test_what_was_compiled_is_told_and_in_the_journal(tmp_path, caplog):
    hardware = Hardware(device="cpu", compile="eager", workers=0)
    trainer = line_trainer(tmp_path, hardware=hardware, epochs=1)
    with caplog.at_level(logging.INFO):
        trainer.fit()
    told = [record.message for record in caplog.records if "compiled in" in record.message]
    assert len(told) == 1
    assert "1 graphs, 0 breaks" in told[0]
    lines = [entry.values for entry in trainer.run.journal.read() if "train/compile_s" in entry.values]
    assert lines[-1]["train/compiled"] == 1.0
    assert lines[-1]["train/recompiled"] == 0.0
    assert lines[-1]["train/compile_s"] > 0


def test_compiling_again_is_warned_of_once_with_its_reason(caplog):
    hardware = Hardware(device="cpu", compile="eager", workers=0)
    watch, net = hardware.compilation, hardware.compiled(nn.Linear(2, 2).eval())
    net(torch.zeros(3, 2))
    watch.look(1)
    for step, value in enumerate((torch.zeros(4, 2), torch.zeros(4, 2), torch.zeros(2, 2, 2), torch.zeros(2)), 2):
        net(value)
        watch.look(step)
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert warned[0].startswith("step 2: compiled again")
    assert "expected 3, actual 4" in warned[0]
    assert watch.figures()["recompiled"] == 3.0
    hardware.compiled(net._orig_mod.requires_grad_(False))(torch.zeros(3, 2))  # prepared anew: no recompilation
    watch.look(9)
    assert watch.figures()["recompiled"] == 3.0


@torch._dynamo.config.patch(recompile_limit=2)
def test_a_model_that_is_prepared_again_and_again_is_compiled_each_time():
    hardware, counted = Hardware(device="cpu", compile="eager", workers=0), torch._dynamo.utils.counters["stats"]
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    for times, part in enumerate(model, 1):
        part.requires_grad_(False)  # as thawing does, another state
        hardware.prepare(model)(torch.zeros(3, 2))
        assert counted["unique_graphs"] == times


@torch._dynamo.config.patch(recompile_limit=2)
def test_what_torch_no_longer_compiles_is_told(caplog):
    hardware = Hardware(device="cpu", compile="eager", workers=0)
    net = hardware.prepare(nn.Linear(2, 2))
    for step in range(1, 6):
        net(torch.zeros(*[3] * step, 2))
        hardware.compilation.look(step)
    (said,) = [record.message for record in caplog.records if "runs uncompiled from now on" in record.message]
    assert said.startswith("step 3: ")
    assert "rank mismatch" in said


def test_a_mode_needs_inductor_and_one_with_cuda_graphs_is_refused():
    for compile, mode in (("eager", "default"), (None, "default"), ("inductor", "reduce-overhead")):
        with pytest.raises(
            ValueError, match="expected null, or with inductor one of default, max-autotune-no-cudagraphs"
        ):
            Hardware(device="cpu", compile=compile, compile_mode=mode)
