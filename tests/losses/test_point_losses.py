"""Losses of a point: values worked by hand, and what every one of them promises."""

import math

import pytest
import torch

from gaze.devices import KINDS
from gaze.geometry import pitch_yaw_to_vector
from gaze.losses.loss import Loss
from gaze.losses.point import PointEuclidean, PointLoss, PointMSE, PointSmoothL1, PointWing
from gaze.losses.point_geometry import EyeOrigin, GazeAngle
from gaze.losses.point_heatmap import PointHeatmapKL
from gaze.losses.point_likelihood import PointLaplace
from gaze.types import Batch, Progress, ScreenInputs, ScreenPrediction, ScreenTargets
from tests import groups

NOW = Progress(5, 10, 5)
TRUTH = torch.tensor([[1.0, -2.0], [0.0, -6.0], [-1.5, -4.0]])
GAZE = pitch_yaw_to_vector(torch.tensor([[0.1, 0.2], [-0.2, 0.0], [0.0, 0.3]]))
ORIGIN = torch.tensor([[0.0, 3.0, 30.0], [1.0, 4.0, 35.0], [0.0, 5.0, 40.0]])


def batch(**facts):
    return Batch(ScreenInputs(), ScreenTargets(TRUTH, gaze=GAZE, origin=ORIGIN, **facts), torch.arange(3))


def prediction(point, **more):
    return ScreenPrediction(point, torch.tensor([2.0, 4.0]).expand_as(point), **more)


def heatmap_at(point):
    """Logits of a Gaussian of 1 cm around each point, over x from -4 to 4 cm and y from 0 down to -8 cm."""
    centres = (torch.arange(16) + 0.5) / 2
    x, y = -4 + centres, -centres
    return -0.5 * ((x - point[:, None, None, 0]) ** 2 + (y[:, None] - point[:, None, None, 1]) ** 2)


GRID = torch.tensor([-4.0, 0.0, 4.0, -8.0]).expand(3, 4)


def about_points(name):
    config = groups.node("loss", name)
    return "ScreenPrediction" in groups.forward_annotations(config)["prediction"] and "teacher" not in config


@pytest.mark.parametrize("name", [name for name in groups.names("loss") if about_points(name)])
def test_every_loss_of_points_is_finite_has_gradients_and_is_lower_for_the_right_answer(name):
    loss = groups.build(groups.node("loss", name))
    assert isinstance(loss, Loss)
    wrong = [torch.randn(3, n, requires_grad=True) for n in (2, 2, 3, 3)]
    logits = torch.randn(3, 16, 16, requires_grad=True)
    guess = prediction(wrong[0], log_scale=wrong[1], gaze=wrong[2], origin=wrong[3], heatmap=logits, grid_cm=GRID)
    value = loss(guess, batch(), NOW)
    assert value.shape == ()
    value.backward()
    gradients = [t.grad for t in [*wrong, logits] if t.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)
    right = prediction(
        TRUTH, log_scale=torch.full((3, 2), -2.0), gaze=GAZE, origin=ORIGIN, heatmap=heatmap_at(TRUTH), grid_cm=GRID
    )
    right = loss(right, batch(), NOW)
    assert right.isfinite()
    assert right < value
    if isinstance(loss, PointLoss):
        point = TRUTH.clone().requires_grad_()  # a perfect answer must not make the gradient infinite
        same = prediction(point, log_scale=torch.zeros(3, 2), heatmap=logits, grid_cm=GRID)
        (gradient,) = torch.autograd.grad(loss(same, batch(), NOW), point, allow_unused=True)
        assert gradient is None or gradient.isfinite().all()


OFF = TRUTH + torch.tensor([[2.0, 0.0], [0.0, 4.0], [0.1, 0.2]])  # 1 unit in x, 1 unit in y, 0.05 units in both


@pytest.mark.parametrize(
    ("loss", "each"),
    [
        (PointMSE(), [1, 1, 0.05**2 * 2]),
        (PointSmoothL1(0.1), [(1 - 0.05) / 2, (1 - 0.05) / 2, 0.5 * 0.05**2 / 0.1]),
        (PointSmoothL1(0.0), [0.5, 0.5, 0.05]),
        (PointEuclidean(), [2, 4, math.hypot(0.1, 0.2)]),
        (
            PointWing(2.0, 0.5),
            [2 * math.log(5), 4 - 2 + 2 * math.log(5), 2 * math.log(1.2) + 2 * math.log(1.4)],  # continuous at 2 cm
        ),
    ],
)
def test_known_values(loss, each):
    torch.testing.assert_close(loss.per_sample(prediction(OFF), TRUTH), torch.tensor(each), atol=1e-4, rtol=0)
    assert loss(prediction(OFF), batch(), NOW) == pytest.approx(sum(each) / 3, abs=1e-4)


def test_the_laplace_likelihood_is_least_where_b_is_the_error():
    at = [float(PointLaplace()(prediction(OFF[:1], log_scale=torch.full((1, 2), math.log(b))), first(), NOW)) for b in
          (0.5, 1.0, 2.0)]  # fmt: skip
    assert at[1] == pytest.approx(2.0 + 2 * math.log(2))
    assert at[1] < min(at[0], at[2])


def first():
    return Batch(ScreenInputs(), ScreenTargets(TRUTH[:1]), torch.arange(1))


def test_the_heatmap_of_the_truth_has_no_divergence_and_a_flat_one_that_of_its_entropy():
    loss = PointHeatmapKL(1.0)
    right = loss(prediction(TRUTH, heatmap=heatmap_at(TRUTH), grid_cm=GRID), batch(), NOW)
    assert right == pytest.approx(0.0, abs=1e-6)
    target = heatmap_at(TRUTH).flatten(1).softmax(-1)
    flat = loss(prediction(TRUTH, heatmap=torch.zeros(3, 16, 16), grid_cm=GRID), batch(), NOW)
    assert flat == pytest.approx(float((target * (target * 256).log()).sum(-1).mean()), rel=1e-5)


def test_hard_examples_count_twice():
    each = torch.tensor([0.5, 0.5, 0.05])
    value = PointSmoothL1(0.0, hardest=0.3)(prediction(OFF), batch(), NOW)
    assert value == pytest.approx(float(each.mean()) + 0.5)


def test_small_and_large_screens_count_alike_if_their_points_are_divided_by_their_spread():
    kind = torch.tensor([KINDS.index("phone"), KINDS.index("tablet"), -1])
    loss = PointEuclidean(spread_cm={"phone": 1.5, "tablet": 6.0})
    value = loss(prediction(OFF), batch(kind=kind), NOW)  # the spread over all devices is (2 + 4) / 2 cm
    assert value == pytest.approx((2 * 3 / 1.5 + 4 * 3 / 6 + math.hypot(0.1, 0.2)) / 3, abs=1e-4)


def test_a_picture_of_two_adds_the_losses_of_both_truths_by_their_shares():
    other = torch.full_like(TRUTH, torch.nan)  # no other picture
    other[0] = OFF[0] + torch.tensor([0.0, 1.0])
    share = torch.tensor([0.25, 0.0, 0.0])
    off = OFF.clone().requires_grad_()
    value = PointEuclidean()(prediction(off), batch(other_point=other, other_share=share), NOW)
    assert value.item() == pytest.approx((0.75 * 2 + 0.25 * 1 + 4 + math.hypot(0.1, 0.2)) / 3, abs=1e-4)
    value.backward()
    assert off.grad.isfinite().all()


def test_angles_and_origins_count_the_samples_that_have_labels_only():
    gaze, origin = GAZE.clone(), ORIGIN.clone()
    gaze[1], origin[2] = torch.nan, torch.nan
    targets = ScreenTargets(TRUTH, gaze=gaze, origin=origin)
    labelled = Batch(ScreenInputs(), targets, torch.arange(3))
    turned = pitch_yaw_to_vector(torch.tensor([[0.1, 0.2], [0.5, 0.5], [0.0, 0.4]])).requires_grad_()
    moved = (ORIGIN + torch.tensor([20.0, 0.0, 0.0])).requires_grad_()
    guess = prediction(TRUTH, gaze=turned, origin=moved)
    angle, place = GazeAngle()(guess, labelled, NOW), EyeOrigin()(guess, labelled, NOW)
    assert float(angle.detach()) == pytest.approx(0.1 / 2, abs=1e-5)
    assert float(place.detach()) == pytest.approx((2 - 0.5) / 3)
    (angle + place).backward()
    assert turned.grad.isfinite().all()
    assert turned.grad[1].abs().sum() == 0
    assert moved.grad.isfinite().all()
    assert moved.grad[2].abs().sum() == 0


@pytest.mark.parametrize(
    ("loss", "hint"),
    [
        (PointLaplace(), "head=point_laplace"),
        (PointHeatmapKL(), "head=point_heatmap"),
        (GazeAngle(), "point_geometric"),
    ],
)
def test_a_loss_names_the_head_that_it_needs(loss, hint):
    with pytest.raises(ValueError, match=hint):
        loss(prediction(TRUTH), batch(), NOW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hardest": 1.5}, "hardest is 1.5"),
        ({"spread_cm": {"watch": 1.0}}, "watch"),
        ({"spread_cm": {"phone": 0.0}}, "phone"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PointMSE(**arguments)
