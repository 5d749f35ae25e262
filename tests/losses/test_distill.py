"""Distillation of heatmaps."""

import pytest
import torch
from torch import nn

from gaze.losses.distill import HeatmapDistillation
from gaze.schedules import Cosine
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets

START = Progress(0, 100, 10)


class Teacher(nn.Module):
    """Answers with fixed heatmaps, and remembers what it was asked."""

    def __init__(self, heatmap):
        super().__init__()
        self.heatmap = nn.Parameter(heatmap)
        self.dropout = nn.Dropout()

    def forward(self, inputs):
        self.seen = inputs.image
        return ScenePrediction(self.dropout(self.heatmap * 1.0))


def batch(n, size=8):
    targets = SceneTargets(torch.rand(n, 1, 2), torch.ones(n), torch.full((n, 2), 100))
    return Batch(
        SceneInputs(torch.rand(1, 3, size, size), torch.rand(n, 4), torch.zeros(n).long()), targets, torch.arange(1)
    )


def waves():
    i = torch.arange(2 * 4096, dtype=torch.float64)
    return 3 * torch.sin(0.3 * i).view(2, 64, 64), 3 * torch.cos(0.2 * i).view(2, 64, 64)


@pytest.mark.parametrize(("temperature", "value"), [(1.0, 2.4273883007), (2.5, 3.8400593014), (4.0, 4.2033134693)])
def test_the_published_distillation(temperature, value):
    """Golden values of GazeLLE's DINOv3 successor."""
    student, teacher = waves()
    loss = HeatmapDistillation(Teacher(teacher), temperature)(ScenePrediction(student), batch(2), START)
    assert loss.item() == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("step", "temperature"), [(0, 1.0), (10, 1.074893), (25, 1.447788), (50, 2.523799), (75, 3.585601), (99, 4.0)]
)
def test_the_temperature_follows_its_schedule(step, temperature):
    student, teacher = waves()
    now = Progress(step, 100, 10)
    scheduled = HeatmapDistillation(Teacher(teacher), Cosine(1.0, 4.0))(ScenePrediction(student), batch(2), now)
    fixed = HeatmapDistillation(Teacher(teacher), temperature)(ScenePrediction(student), batch(2), now)
    assert scheduled.item() == pytest.approx(fixed.item(), rel=1e-6)


def test_agreement_costs_nothing_and_the_gradient_reaches_the_student_only():
    teacher = Teacher(torch.randn(2, 8, 8))
    loss = HeatmapDistillation(teacher)
    student = teacher.heatmap.detach().clone() + 3.0  # a softmax does not see the offset
    assert loss(ScenePrediction(student), batch(2), START).item() == pytest.approx(0, abs=1e-6)

    student = torch.zeros(2, 8, 8, requires_grad=True)
    loss(ScenePrediction(student), batch(2), START).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.heatmap.grad is None


def test_the_teacher_stays_frozen_and_in_eval_mode():
    loss = HeatmapDistillation(Teacher(torch.randn(1, 8, 8)))
    objective = nn.ModuleDict({"distillation": loss}).train()
    assert loss.training
    assert not any(module.training for module in loss.teacher.modules())
    assert not any(p.requires_grad for p in objective.parameters())


def test_sizes_are_made_to_fit():
    loss = HeatmapDistillation(Teacher(torch.randn(1, 8, 8)), image_size=[16, 24])
    assert loss(ScenePrediction(torch.randn(1, 4, 6)), batch(1), START).isfinite()
    assert loss.teacher.seen.shape == (1, 3, 16, 24)


def test_a_teacher_sees_the_size_it_was_trained_on():
    teacher = Teacher(torch.randn(1, 8, 8))
    teacher.image_size = (16, 24)  # as load_model says
    loss = HeatmapDistillation(teacher)
    loss(ScenePrediction(torch.randn(1, 8, 8)), batch(1), START)
    assert teacher.seen.shape == (1, 3, 16, 24)


def test_no_heads_are_no_loss():
    student = torch.zeros(0, 8, 8, requires_grad=True)
    assert HeatmapDistillation(Teacher(torch.zeros(0, 8, 8)))(ScenePrediction(student), batch(0), START).item() == 0


class Looker(nn.Module):
    """A teacher whose heatmap depends on picture and box; counts the heads it is asked about."""

    asked = 0

    def forward(self, inputs):
        self.asked += len(inputs.head_bbox)
        picture = inputs.image.mean((1, 2, 3))[inputs.image_index]
        grid = torch.arange(64.0).reshape(8, 8)
        return ScenePrediction(torch.sin(grid * (picture + inputs.head_bbox.sum(1))[:, None, None]))


def test_a_remembered_teacher_says_the_same_and_is_asked_once():
    images, boxes, index = torch.rand(3, 3, 8, 8), torch.rand(5, 4), torch.tensor([0, 0, 1, 2, 2])
    targets = SceneTargets(torch.rand(5, 1, 2), torch.ones(5), torch.full((5, 2), 100))
    whole = Batch(SceneInputs(images, boxes, index), targets, torch.arange(3))
    part = Batch(
        SceneInputs(images[[2, 1]], boxes[[4, 2]], torch.tensor([0, 1])), targets.map(lambda t: t[:2]), torch.arange(2)
    )
    teacher = Looker()
    plain, remembering = HeatmapDistillation(Looker()), HeatmapDistillation(teacher, remember_gigabytes=0.01)
    student = torch.randn(5, 8, 8)
    for some in (part, whole, part, whole):
        prediction = ScenePrediction(student[: len(some.inputs.head_bbox)])
        expected = plain(prediction, some, START).item()
        assert remembering(prediction, some, START).item() == pytest.approx(expected, rel=1e-3)
    assert teacher.asked == 5
