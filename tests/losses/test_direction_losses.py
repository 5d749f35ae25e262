"""Losses of directions: values worked by hand, gradients where others have none, and what every one promises."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gaze.geometry import pitch_yaw_to_vector
from gaze.losses.auxiliary import Auxiliary
from gaze.losses.direction import Angular, GazeCosine, PitchYawL1, angle_between
from gaze.losses.direction_bins import L2CS
from gaze.losses.direction_likelihood import HeteroNLL, Pinball, VonMisesFisherNLL
from gaze.losses.direction_text import PrototypeCE, Separation
from gaze.losses.loss import Loss
from gaze.losses.objective import Objective
from gaze.types import Batch, DirectionInputs, DirectionPrediction, DirectionTargets, Progress
from tests import groups

NOW = Progress(5, 10, 5)
ANGLES = torch.tensor([[10.0, 40.0], [-20.0, -30.0], [30.0, 5.0]]).deg2rad()
COMPASS = torch.arange(8) * math.pi / 4


def batch(angles=ANGLES):
    return Batch(
        DirectionInputs(torch.zeros(len(angles), 3, 2, 2)),
        DirectionTargets(pitch_yaw_to_vector(angles)),
        torch.arange(len(angles)),
    )


def about_directions(name):
    config = groups.node("loss", name)
    return "DirectionPrediction" in groups.forward_annotations(config)["prediction"] and "teacher" not in config


def logits_of(angles):
    """Logits of 90 bins of 4 degrees, sharp about the angles."""
    centres = (torch.arange(90) - 44.5) * 4
    return -((angles.rad2deg()[..., None] - centres) ** 2) / 8


@pytest.mark.parametrize("name", [name for name in groups.names("loss") if about_directions(name)])
def test_every_loss_of_directions_is_finite_has_gradients_and_is_lower_for_the_right_answer(name):
    loss = groups.build(groups.node("loss", name))
    assert isinstance(loss, Loss)
    draws = torch.Generator().manual_seed(0)
    bins = (3 * torch.randn(3, 2, 90, generator=draws)).requires_grad_()
    wrong = {
        "gaze": 2 * torch.randn(3, 3, generator=draws),
        "concentration": torch.rand(3, generator=draws) + 20,
        "spread": 3 * torch.rand(3, 2, generator=draws),
        "steered": torch.ones(3, 2, 4) + torch.rand(3, 2, 4, generator=draws),
        "class_logits": 3 * torch.randn(3, 8, generator=draws),
    }
    wrong = {key: value.requires_grad_() for key, value in wrong.items()} | {"bins": bins}
    if name == "l2cs":  # whose direction is what its bins say
        centres = (torch.arange(90) - 44.5) * math.radians(4)
        wrong["gaze"] = pitch_yaw_to_vector((bins.softmax(-1) * centres).sum(-1)).detach()
    value = loss(DirectionPrediction(**wrong, class_angle=COMPASS), batch(), NOW)
    assert value.shape == ()
    value.backward()
    gradients = [t.grad for t in wrong.values() if t.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)
    truth = batch().targets.gaze
    steered = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]).expand(3, 2, 4)
    target, _ = PrototypeCE().targets(truth, COMPASS)
    right = DirectionPrediction(
        truth, torch.full((3,), 200.0), torch.full((3, 2), 0.1), logits_of(ANGLES), None, steered, target.log(), COMPASS
    )
    if name == "l2cs":
        centres = (torch.arange(90) - 44.5) * math.radians(4)
        right = replace(right, gaze=pitch_yaw_to_vector((right.bins.softmax(-1) * centres).sum(-1)))
        loss.compared = False
    assert loss(right, batch(), NOW) < value
    perfect = truth.clone().requires_grad_()
    same = loss(replace(right, gaze=perfect), batch(), NOW)
    if same.requires_grad:
        (gradient,) = torch.autograd.grad(same, perfect)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("degrees", [0.001, 0.1, 1.0, 45.0, 90.0, 179.0, 179.9])
def test_the_angle_s_gradient_on_the_sphere_has_length_one(degrees):
    draws = torch.Generator().manual_seed(1)
    truth, other = F.normalize(torch.randn(2, 400, 3, generator=draws), dim=-1)
    side = F.normalize(torch.linalg.cross(truth, other).double(), dim=-1)
    angle = math.radians(degrees)
    found = (truth.double() * math.cos(angle) + side * math.sin(angle)).float().requires_grad_()
    value = angle_between(found, truth)
    length = torch.autograd.grad(value.sum(), found)[0].norm(dim=-1)
    assert ((length > 0.99) & (length < 1.01)).float().mean() > (0.95 if degrees < 0.01 else 0.999)
    assert value.mean().rad2deg().item() == pytest.approx(degrees, rel=5e-3)
    five = angle_between(5 * found, truth)  # the length of a prediction says nothing
    torch.testing.assert_close(five, value, atol=1e-6, rtol=1e-3)


def test_the_angle_is_finite_where_it_has_no_gradient():
    truth = torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)
    found = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).requires_grad_()
    value = angle_between(found, truth)
    torch.testing.assert_close(value, torch.tensor([0.0, math.pi, math.pi / 2]))
    (gradient,) = torch.autograd.grad(value.sum(), found)
    assert gradient.isfinite().all()
    assert gradient[:2].norm() < 1e-6
    assert gradient[2].norm() < 1.1e6


def test_known_values():
    off = ANGLES + torch.tensor([[0.0, 0.1], [0.1, 0.0], [0.0, 0.0]])
    found = DirectionPrediction(pitch_yaw_to_vector(off))
    angle = angle_between(found.gaze, batch().targets.gaze)
    assert float(Angular()(found, batch(), NOW)) == pytest.approx(float(angle.mean()))
    assert float(GazeCosine()(found, batch(), NOW)) == pytest.approx(float((1 - angle.cos()).mean()), abs=1e-6)
    l1 = (0.1 * math.cos(math.radians(10)) + 0.1) / 3
    assert float(PitchYawL1()(found, batch(), NOW)) == pytest.approx(l1, abs=1e-6)


def test_yaw_goes_round_the_seam():
    truth, found = torch.tensor([[0.2, math.pi - 0.05]]), torch.tensor([[0.2, 0.05 - math.pi]])
    guess = DirectionPrediction(pitch_yaw_to_vector(found), spread=torch.full((1, 2), 0.1))
    assert float(PitchYawL1()(guess, batch(truth), NOW)) == pytest.approx(0.1 * math.cos(0.2), abs=1e-5)
    assert float(Pinball()(guess, batch(truth), NOW)) == pytest.approx(0.2 * 0.128155, abs=1e-5)


def test_the_pinball_loss_is_least_at_the_quantiles_of_the_residuals():
    draws = torch.Generator().manual_seed(3)
    residual = 0.1 * torch.randn(20_000, 2, generator=draws)
    found = DirectionPrediction(pitch_yaw_to_vector(torch.zeros(20_000, 2)))
    tried = torch.linspace(0.05, 0.25, 41)
    at = [
        float(Pinball()(replace(found, spread=torch.full((20_000, 2), float(s))), batch(residual), NOW)) for s in tried
    ]
    assert float(tried[torch.tensor(at).argmin()]) == pytest.approx(
        0.1, abs=0.006
    )  # the standard deviation, of a normal


@pytest.mark.parametrize(("loss", "field"), [(VonMisesFisherNLL, "concentration"), (HeteroNLL, "spread")])
def test_a_likelihood_leaves_the_direction_alone_unless_it_is_to_train_it(loss, field):
    for detached in (True, False):
        gaze = pitch_yaw_to_vector(ANGLES + 0.1).requires_grad_()
        sure = torch.full((3,) if field == "concentration" else (3, 2), 0.5, requires_grad=True)
        loss(detach_mean=detached)(DirectionPrediction(gaze, **{field: sure}), batch(), NOW).backward()
        assert sure.grad.abs().sum() > 0
        assert (gaze.grad is None) == detached


def test_separation_is_a_standard_cosine():
    tokens = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0))
    cosine = F.cosine_similarity(tokens[:, 0], tokens[:, 1])
    for scale in (1.0, 30.0):
        guess = DirectionPrediction(torch.zeros(6, 3), steered=scale * tokens)
        assert float(Separation()(guess, batch(), NOW)) == pytest.approx(float(cosine.abs().mean()), abs=1e-6)
    assert float(Separation(0.2)(guess, batch(), NOW)) == pytest.approx(float(F.relu(cosine - 0.2).mean()), abs=1e-6)
    zero = torch.zeros(6, 2, 5, requires_grad=True)
    Separation()(DirectionPrediction(torch.zeros(6, 3), steered=zero), batch(), NOW).backward()
    assert zero.grad.isfinite().all()


def test_prompts_are_targets_by_their_angle_in_the_picture():
    # straight up (y down in the camera frame: positive pitch), to the image's left, into the camera, 5 degrees right
    gaze = pitch_yaw_to_vector(torch.tensor([[40.0, 0.0], [0.0, 40.0], [0.0, 0.0], [0.0, -5.0]]).deg2rad())
    target, share = PrototypeCE().targets(gaze, COMPASS)
    assert target.argmax(-1)[[0, 1, 3]].tolist() == [2, 4, 0]  # counter-clockwise from the right
    near = math.exp(8 * (math.cos(math.pi / 4) - 1))
    assert float(target[0, 1] / target[0, 2]) == pytest.approx(near, rel=1e-4)
    expected = [1, 1, 0, math.sin(math.radians(5)) / math.sin(math.radians(10))]
    torch.testing.assert_close(share, torch.tensor(expected), atol=1e-5, rtol=0)
    hard, _ = PrototypeCE(hard=True).targets(gaze, COMPASS)
    assert hard[0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    with_centre, share = PrototypeCE().targets(gaze, torch.cat([COMPASS, torch.tensor([torch.nan])]))
    assert with_centre[2].tolist() == [0] * 8 + [1]
    torch.testing.assert_close(with_centre[0, :8], target[0])
    assert float(share[2]) == 1


def test_bins_of_another_width_than_the_loss_s_are_refused():
    guess = DirectionPrediction(pitch_yaw_to_vector(ANGLES), bins=logits_of(ANGLES))
    with pytest.raises(ValueError, match=r"loss\.l2cs\.bin_deg is 3\.0"):
        L2CS(bin_deg=3.0)(guess, batch(), NOW)


@pytest.mark.parametrize(
    ("loss", "hint"),
    [
        (VonMisesFisherNLL(), "direction_vmf"),
        (HeteroNLL(), "direction_hetero"),
        (Pinball(), "direction_pinball"),
        (L2CS(), "direction_l2cs"),
        (Separation(), "keeps both streams"),
        (PrototypeCE(), "keep the stream f2 and a codebook with texts"),
    ],
)
def test_a_loss_names_what_it_needs(loss, hint):
    with pytest.raises(ValueError, match=hint):
        loss(DirectionPrediction(torch.zeros(3, 3)), batch(), NOW)


def test_a_term_that_moves_no_parameter_is_refused_by_name_in_training_alone():
    gaze = torch.randn(3, 3, requires_grad=True)
    frozen = torch.randn(3, 2, 4)  # tokens with no trainable ancestor: a constant in the sum
    guess = DirectionPrediction(gaze, steered=frozen, balance=torch.tensor(1.0))
    objective = Objective({"angular": Angular(), "separation": Separation()})
    with pytest.raises(ValueError, match=r"loss\.separation moves no parameter"):
        objective(guess, batch(), NOW)
    with pytest.raises(ValueError, match=r"loss\.balance moves no parameter"):
        Objective({"angular": Angular(), "balance": Auxiliary("balance")})(guess, batch(), NOW)
    objective.eval()(guess, batch(), NOW)
    with torch.no_grad():
        objective.train()(guess, batch(), NOW)
    objective.train()(replace(guess, steered=frozen.requires_grad_()), batch(), NOW)[0].backward()
    assert frozen.grad.abs().sum() > 0
