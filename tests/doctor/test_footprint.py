"""The estimate of memory: right to the byte where it can be worked out by hand, and like torch's own account elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from gaze.doctor import fit, footprint
from gaze.doctor.case import Case
from gaze.doctor.composition import case_of
from gaze.doctor.footprint import Footprint, Live, fake_step, real_step, remembered
from gaze.freezing import set_trainable
from gaze.lowered import Lowered
from gaze.types import Batch, Progress, Record
from tests.doctor.conftest import only
from tests.stubs.entry import TOY

INPUT, WIDTH = 64, 256
LATE = Progress(9, 10, 10)


@dataclass(frozen=True)
class Numbers(Record):
    numbers: Tensor


class Net(nn.Module):
    """A layer, a ReLU, a layer of one output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(INPUT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, inputs: Numbers) -> Numbers:
        return Numbers(self.layers(inputs.numbers))


class Squared(nn.Module):
    def forward(self, prediction, batch, progress):
        return prediction.numbers.square().mean(), {}


class Looks(Squared):
    """A loss that looks at values, which fake tensors do not have."""

    def forward(self, prediction, batch, progress):
        assert float(prediction.numbers.square().sum()) >= 0
        return super().forward(prediction, batch, progress)


def samples(count=2):
    return [Batch(Numbers(torch.rand(INPUT)), Numbers(torch.zeros(1)), torch.tensor(i)) for i in range(count)]


@pytest.mark.parametrize("step", [fake_step, real_step])
def test_a_small_network_by_hand(step):
    """Of a large batch the ReLU's output, its gradient and that of what went into it; of a small one a layer's gradient."""
    row, beside = 4 * WIDTH, 4 * INPUT + 4 + 8  # an activation of a sample; its input, target and index
    first, last = 4 * WIDTH * (INPUT + 1), 4 * (WIDTH + 1)  # gradients of the layers
    large, small = (step(Net(), Squared(), samples(), count, None, LATE) for count in (64, 4))
    assert large.peak == pytest.approx(64 * (3 * row + beside) + last, rel=0.01)
    assert large.saved == pytest.approx(64 * (row + beside), rel=0.01)
    assert small.peak == pytest.approx(4 * (row + beside) + first + last, rel=0.02)


def test_a_frozen_part_keeps_nothing_for_the_backward_pass():
    net = Net()
    set_trainable(net.layers[0].parameters(), False)
    assert fake_step(net, Squared(), samples(), 64, None, LATE).peak <= 64 * (2 * 4 * WIDTH + 4 * INPUT + 64)


@pytest.mark.parametrize(
    ("settings", "model_too"),
    [
        ({"trainer.amp": True}, True),
        ({}, False),
        ({"trainer.amp": True, "hardware.frozen_dtype": "float32"}, False),
        ({"trainer.amp": True, "hardware.compile": "inductor"}, False),
        ({"trainer.amp": True, "hardware.shard": True}, False),
    ],
)
def test_frozen_weights_and_teachers_that_are_cast_once_are_there_twice(settings, model_too):
    case = Case(OmegaConf.from_dotlist([f"{key}={value}" for key, value in settings.items()]))
    net, objective, teacher = Net(), nn.Module(), Net().requires_grad_(False)
    set_trainable(net.layers[0].parameters(), False)
    objective.teacher, objective.lowered = teacher, Lowered(teacher, torch.bfloat16, everything=True)
    of_teacher = 2 * (INPUT * WIDTH + WIDTH)  # the weights of its two layers; biases are as good as nothing
    of_model = 2 * INPUT * WIDTH if model_too else 0
    assert footprint.lowered_bytes(net, objective, case) == of_teacher + of_model


def test_half_precision_keeps_half():
    whole, half = (fake_step(Net(), Squared(), samples(), 512, amp, LATE).peak for amp in (None, torch.bfloat16))
    assert 0.45 * whole < half < 0.65 * whole


def test_a_step_leaves_no_gradient_and_no_change_behind():
    net = Net()
    net.layers.insert(1, nn.BatchNorm1d(WIDTH))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    real_step(net, Squared(), samples(), 4, None, LATE)
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_it_stops_at_its_deadline():
    with pytest.raises(footprint.TooSlow):
        real_step(Net(), Squared(), samples(), 2, None, LATE, deadline=0.0)


def test_views_count_once_and_what_is_freed_does_not_count():
    with Live() as live:
        kept = torch.zeros(1000).view(10, 100).T
        assert live.now == 4000
        torch.ones(500)
        assert (live.now, live.peak) == (4000, 6000)
        del kept
        assert live.now == 0


@pytest.mark.parametrize(
    ("kind", "options", "copies"),
    [
        (torch.optim.AdamW, {"lr": 0.1}, 2.0),
        (torch.optim.Adam, {"lr": 0.1, "amsgrad": True}, 3.0),
        (torch.optim.SGD, {"lr": 0.1}, 0.0),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, 1.0),
    ],
)
def test_what_optimizers_remember(kind, options, copies):
    assert remembered(kind, {**options, "base_lr": 0.1}) == copies


def test_how_large_a_batch_fits():
    found = Footprint(weights=100, gradients=50, optimizer=200, fixed=60.0, per_sample=10.0, how="fake")
    assert found.peak(4) == 400.0
    assert found.peak(1) == 400.0  # the optimizer's own copies
    assert found.fits(1000.0) == 64
    assert found.fits(399.0) == 0


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The footprint of a small GazeLLE, and the case it is of."""
    from hydra.core.global_hydra import GlobalHydra

    from tests.datasets.folders import write_gazefollow_folder

    root = tmp_path_factory.mktemp("toy") / "data"
    write_gazefollow_folder(root, {"train": 12, "val": 4}, size=(32, 32))
    case, _ = case_of([*TOY, f"dataset.root={root}"])
    GlobalHydra.instance().clear()
    return case, footprint.footprint(case)


def test_the_estimate_of_a_config_counts_weights_average_and_optimizer(toy):
    case, found = toy
    weights = sum(p.nbytes for p in case.model.parameters())
    assert found.how == "fake"
    assert (found.gradients, found.optimizer) == (weights, 2 * weights)
    buffers = sum(b.nbytes for b in case.model.buffers())
    assert found.weights >= 2 * weights + buffers  # EMA's copy


def test_the_estimate_agrees_with_the_allocations_that_torch_reports(toy):
    """An independent account: every allocation of the CPU's allocator in a real step."""
    from torch.profiler import ProfilerActivity, profile

    case, found = toy
    objective = footprint.Objective(footprint.chosen(case.config, "loss")).train()
    progress = footprint.late(case, 12)
    real_step(case.model, objective, case.examples, 4, None, progress)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        real_step(case.model, objective, case.examples, 4, None, progress)
    changes = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(changes, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    assert found.fixed + 4 * found.per_sample == pytest.approx(peak, rel=0.05)


def test_a_batch_that_does_not_fit_is_a_problem_with_one_that_does(toy, monkeypatch):
    case, found = toy
    monkeypatch.setattr(footprint, "footprint", lambda case, seconds: found)
    level, said = only(fit.estimate, case)
    assert level == "ok"
    assert "trainer.batch_size=4" in said
    monkeypatch.setattr(Footprint, "peak", lambda self, n: self.still + self.fixed + self.per_sample * n)
    monkeypatch.setattr(fit, "room", lambda case: (found.peak(3) * 1.1 + 1, "a small GPU", 1.1))
    level, said = only(fit.estimate, case)
    assert level == "problem"
    assert "trainer.batch_size=2 trainer.accumulate=1 trainer.effective_batch_size=4 fits" in said
    assert said.endswith("or trainer.amp=true")
    monkeypatch.setattr(fit, "room", lambda case: (1000.0, "a tiny GPU", 1.1))
    assert "not even one sample fits" in only(fit.estimate, case)[1]


def test_an_estimate_that_takes_too_long_says_so(toy, monkeypatch):
    def slow(case, seconds):
        raise footprint.TooSlow("slow")

    monkeypatch.setattr(footprint, "footprint", slow)
    assert "give it more time with seconds=120" in only(fit.estimate, toy[0])[1]


def test_parts_that_can_t_forget_their_activations_are_a_problem_and_not_tried(toy):
    case, _ = toy
    bad = replace(case, config=OmegaConf.merge(case.config, {"hardware": {"checkpoint_activations": "nothing.*"}}))
    level, said = only(fit.recomputed, bad)
    assert level == "problem"
    assert "'nothing.*' matches no module" in said
    assert not list(fit.estimate(bad))


def test_an_estimate_with_recomputed_parts_leaves_the_model_as_it_is(toy):
    case, plain = toy
    less = replace(case, config=OmegaConf.merge(case.config, {"hardware": {"checkpoint_activations": "head"}}))
    kinds = [type(module) for module in less.model.modules()]
    assert footprint.footprint(less).per_sample < plain.per_sample
    assert [type(module) for module in less.model.modules()] == kinds
    assert not list(fit.recomputed(less))


def test_a_given_memory_is_what_counts():
    free, where, spare = fit.room(Case(memory_gb=24, config=OmegaConf.create({})))
    assert (where, spare) == ("24 GB given", 1.1)
    assert free < 24e9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_estimate_agrees_with_a_step_on_a_gpu(toy):
    from gaze.doctor.step import gpu_step

    case, found = toy
    for batch in (4, 64):
        assert found.peak(batch) == pytest.approx(gpu_step(case, batch), rel=0.35)
