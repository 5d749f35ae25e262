"""Distillation of points: the gate, the mirror, the features."""

import pytest
import torch
from torch import nn

from gaze.heads.point import PointHead
from gaze.heads.projected import Projected
from gaze.landmarks.points import DEFAULT
from gaze.losses.distill import HeatmapDistillation
from gaze.losses.point_distill import PointDistillation
from gaze.screens.mirror import mirrored_inputs
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, ScreenInputs, ScreenPrediction, ScreenTargets

NOW = Progress(0, 1, 1)
TRUTH = torch.tensor([[0.0, 0.0], [1.0, -3.0]])


class Mean(nn.Module):
    """Points as far right as the face is bright to the right, with its mean as the only feature."""

    def __init__(self, bias=0.0):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias))
        self.sizes = []

    def forward(self, inputs):
        self.sizes.append(tuple(inputs.face.shape[-2:]))
        half = inputs.face.shape[-1] // 2
        left, right = inputs.face[..., :half].mean((1, 2, 3)), inputs.face[..., half:].mean((1, 2, 3))
        point = torch.stack([right - left + self.bias, left + right], -1)
        return ScreenPrediction(point, features=point)


def batch():
    face = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    eyes = torch.rand(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    inputs = ScreenInputs(face, eyes[0], eyes[1], torch.rand(2, 12))
    return Batch(inputs, ScreenTargets(TRUTH), torch.arange(2))


def student(point, **more):
    return ScreenPrediction(point, torch.full_like(point, 2.0), **more)


def test_the_mean_of_a_sample_and_its_mirror_image_has_no_bias_to_a_side():
    biased = PointDistillation(Mean(bias=5.0), gate_cm=None, beta=0.0)
    fair = Mean()(batch().inputs).point.detach()
    assert float(biased(student(fair), batch(), NOW)) == pytest.approx(0.0, abs=1e-6)
    assert float(PointDistillation(Mean(5.0), None, 0.0, mirror=False)(student(fair), batch(), NOW)) == pytest.approx(
        5 / 2 / 2, abs=1e-5
    )  # 5 cm in x of 2 cm a unit, nothing in y


def test_a_teacher_that_is_worse_by_more_than_the_gate_does_not_pull():
    teacher = Mean()
    said = teacher(batch().inputs).point.detach()
    point = TRUTH.clone()
    point[0] += torch.tensor([50.0, 0.0])  # this student is far worse than its teacher, the other one is perfect
    point.requires_grad_()
    PointDistillation(teacher, gate_cm=0.5)(student(point), batch(), NOW).backward()
    assert (said[1] - TRUTH[1]).norm() > 0.5
    assert point.grad[0].abs().sum() > 0
    assert point.grad[1].abs().sum() == 0


def test_features_are_compared_by_their_direction():
    loss = PointDistillation(Mean(), gate_cm=None, features=2.0, mirror=False)
    said = Mean()(batch().inputs)
    same, opposite = (
        float(loss(student(said.point.detach(), projection=sign * 3 * said.features.detach()), batch(), NOW))
        for sign in (1, -1)
    )
    assert same == pytest.approx(0.0, abs=1e-5)
    assert opposite == pytest.approx(4.0, abs=1e-5)
    with pytest.raises(ValueError, match="head=point_projected"):
        loss(student(said.point), batch(), NOW)
    with pytest.raises(ValueError, match=r"projects to 5 features, the teacher has 2: set head\.width"):
        loss(student(said.point, projection=torch.zeros(2, 5)), batch(), NOW)


def test_the_teacher_sees_its_own_size_and_never_learns():
    teacher = Mean()
    loss = PointDistillation(teacher, face_size=(16, 16)).train()
    point = TRUTH.clone().requires_grad_()
    loss(student(point), batch(), NOW).backward()
    assert set(teacher.sizes) == {(16, 16)}
    assert not teacher.training
    assert teacher.bias.grad is None


def test_a_teacher_sees_the_size_that_its_run_was_trained_on():
    teacher = Mean()
    teacher.face_size, teacher.eye_size = (12, 12), None  # as gaze.runs.load_model tells
    PointDistillation(teacher)(student(TRUTH), batch(), NOW)
    assert set(teacher.sizes) == {(12, 12)}


class Scenes(nn.Module):
    """A model of another task, by its annotation."""

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        raise NotImplementedError


class Points(nn.Module):
    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        raise NotImplementedError


def test_a_teacher_of_another_task_is_refused_before_training():
    with pytest.raises(ValueError, match=r"teacher is a Scenes, which reads SceneInputs; expected .* ScreenInputs"):
        PointDistillation(Scenes())
    with pytest.raises(ValueError, match=r"heatmap_distillation\.teacher is a Points, .* loss\.heatmap_distillation"):
        HeatmapDistillation(Points())
    assert not PointDistillation(Points()).teacher.training


def test_the_projection_is_there_in_training_only():
    head = Projected(6, PointHead, width=3, hidden=[4], activation=nn.Hardswish)
    features = torch.rand(2, 6)
    assert head.train()(features, ScreenInputs()).projection.shape == (2, 3)
    assert head.eval()(features, ScreenInputs()).projection is None
    assert isinstance(head.output.hidden[1], nn.Hardswish)  # what a model says of its head holds below


def test_a_mirror_exchanges_the_eyes_and_is_its_own_inverse():
    inputs = ScreenInputs(
        *(torch.rand(2, 3, 4, 4) for _ in range(3)),
        geometry=torch.rand(2, 12),
        landmarks=torch.rand(2, len(DEFAULT), 2),
        imu=torch.rand(2, 9),
        orientation=torch.tensor([1, 3]),
    )
    there = mirrored_inputs(inputs)
    assert torch.equal(there.left_eye, inputs.right_eye.flip(-1))
    torch.testing.assert_close(
        there.geometry[:, 4], 1 - inputs.geometry[:, 8] - inputs.geometry[:, 10]
    )  # left box from the right one
    assert there.orientation.tolist() == [1, 4]
    back = mirrored_inputs(there)
    for name in ("face", "left_eye", "right_eye", "geometry", "landmarks", "imu", "orientation"):
        torch.testing.assert_close(getattr(back, name), getattr(inputs, name))
