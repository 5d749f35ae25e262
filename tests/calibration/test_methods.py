"""What each method fits, and what it says when it cannot."""

from dataclasses import replace

import pytest
import torch

from gaze.calibration.dots import CalibrationError, Frames, dots_of
from gaze.calibration.methods import method_named
from gaze.calibration.support import support_vector_regression
from tests.calibration.people import MATRIX, OF_MODELS, SHIFT, methods, person


def test_dots_are_medians_of_the_middle_of_fixations():
    point = torch.tensor([[9.0, 9.0], [1.0, 1.0], [2.0, 3.0], [-9.0, -9.0], [5.0, 5.0]])
    target = torch.tensor([[1.0, 1.0]] * 4 + [[4.0, 4.0]])
    dots, which = dots_of(Frames(point, target, torch.tensor([7, 7, 7, 7, 3])))
    assert which.tolist() == [1, 1, 1, 1, 0]
    assert dots.point.tolist() == [[5.0, 5.0], [1.5, 2.0]]
    assert dots.frames.tolist() == [1.0, 2.0]


def test_frames_of_unknown_dots_are_told_apart_by_their_targets():
    target = torch.tensor([[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
    assert dots_of(Frames(target, target, torch.full((3,), -1)))[1].tolist() == [0, 1, 0]


def test_a_planted_affine_map_is_recovered():
    dots, _ = dots_of(person())
    new = torch.tensor([[0.0, 0.0], [3.0, -7.0]], dtype=torch.float64)
    torch.testing.assert_close(methods()["affine_ls"].fit(dots, dots.frames).apply(new), new @ MATRIX.T + SHIFT)
    torch.testing.assert_close(methods()["poly2"].fit(dots, dots.frames).apply(new), new @ MATRIX.T + SHIFT)


def test_ridge_is_the_penalised_least_squares_of_standardised_predictions():
    dots, _ = dots_of(person(noise=0.5))
    mean, scale = dots.point.mean(0), dots.point.std(0, correction=0)
    design = torch.cat([torch.ones(12, 1), (dots.point - mean) / scale], 1).double()
    rows = torch.cat([design, torch.diag(torch.tensor([1.0, 2.0, 2.0]).double())])
    wanted = torch.linalg.lstsq(rows, torch.cat([dots.residual, torch.zeros(3, 2).double()])).solution
    torch.testing.assert_close(methods()["affine_ridge"].fit(dots, dots.frames).coefficients, wanted)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shrinkage(count):
    dots, _ = dots_of(person(dots=count))
    shift = methods()["offset_shrunk"].fit(dots, dots.frames).apply(dots.point) - dots.point
    torch.testing.assert_close(shift, (count / (count + 2) * dots.residual.mean(0)).expand(count, 2))
    mean = methods()["offset"].fit(dots, dots.frames).apply(dots.point) - dots.point
    torch.testing.assert_close(mean, dots.residual.mean(0).expand(count, 2))


def test_dots_weigh_as_many_frames_as_they_have():
    dots, _ = dots_of(person(dots=2))
    shift = methods()["offset"].fit(dots, torch.tensor([3.0, 1.0]).double()).coefficients[0]
    torch.testing.assert_close(shift, 0.75 * dots.residual[0] + 0.25 * dots.residual[1])


def test_features_that_tell_the_residual_are_read():
    dots, _ = dots_of(person(dots=40, noise=0.1, features=5))
    told = replace(dots, target=dots.point + dots.features[:, :2])
    left = methods()["ridge_feat"].fit(told, told.frames).apply(told.point, told.features) - told.target
    assert left.norm() < 0.95 * told.residual.norm()  # alpha 300 lets little through
    close = methods()["svr"].fit(told, told.frames).apply(told.point, told.features) - told.target
    assert close.norm(dim=-1).mean() < 0.6 * told.residual.norm(dim=-1).mean()


def test_a_feature_that_hardly_moves_on_the_dots_does_not_shout_later():
    dots, _ = dots_of(person(dots=9, noise=1.0, features=6))
    still = dots.features.clone()
    still[:, 0] = 1e-3 * still[:, 0]
    later = still.clone()
    later[:, 0] = 1.0
    for name in ("ridge_feat", "svr"):
        fit = methods()[name].fit(replace(dots, features=still), dots.frames)
        assert (fit.apply(dots.point, later) - fit.apply(dots.point, still)).norm(dim=-1).max() < 2


def test_ridge_on_features_is_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    dots, _ = dots_of(person(dots=9, frames=1, features=20))
    standard = (dots.features - dots.features.mean(0)) / dots.features.std(0, correction=0)
    wanted = linear.Ridge(alpha=300).fit(standard.numpy(), dots.residual.numpy()).predict(standard.numpy())
    found = methods()["ridge_feat"].fit(dots, dots.frames).apply(dots.point, dots.features) - dots.point
    torch.testing.assert_close(found, torch.from_numpy(wanted))


def test_the_probe_begins_as_the_identity_and_moves_as_far_as_its_steps_allow():
    """AdamW steps by its rate: after 15 of 0.05 each number has gone 0.75 at most, and the way is the right one."""
    dots, _ = dots_of(person(shift=torch.tensor([9.0, -9.0]).double()))
    probe = methods()["linear_probe"].fit(dots, dots.frames)
    assert probe.coefficients[0].abs().max() <= 0.75 + 1e-6
    assert probe.coefficients[0, 0] > 0.5
    assert probe.coefficients[0, 1] < -0.5
    many = replace(dots, target=dots.point + 0.2)
    near = replace(methods()["linear_probe"], lr=0.01, epochs=100).fit(many, many.frames).apply(many.point)
    torch.testing.assert_close(near, many.target, atol=0.02, rtol=0)


def test_support_vectors_are_close_to_scikit_learns():
    svm = pytest.importorskip("sklearn.svm")
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(20, 2, generator=draw, dtype=torch.float64) * 4
    y = x.sin()
    y = y - y.mean(0)
    kernel = (-torch.cdist(x, x).square() / 2).exp()
    dual, bias = support_vector_regression(kernel, y, torch.ones(20, dtype=torch.float64), 0.2)
    assert float(dual.abs().max()) <= 1
    for axis in range(2):
        theirs = svm.SVR(kernel="precomputed", C=1.0, epsilon=0.2).fit(kernel.numpy(), y[:, axis].numpy())
        ours = kernel @ dual[:, axis] + bias[axis]
        assert float((ours - torch.from_numpy(theirs.predict(kernel.numpy()))).abs().max()) < 0.06


@pytest.mark.parametrize("name", [name for name in methods() if name not in OF_MODELS])
def test_many_resamplings_at_once_are_each_alone(name):
    dots, _ = dots_of(person(dots=10, noise=0.3, features=6))
    weight = dots.frames * torch.stack([torch.ones(10), (torch.arange(10) < 8).float()]).double()
    together = methods()[name].fit(dots, weight).apply(dots.point, dots.features)
    few = type(dots)(dots.point[:8], dots.target[:8], dots.frames[:8], dots.features[:8])
    alone = methods()[name].fit(few, few.frames).apply(dots.point, dots.features)
    torch.testing.assert_close(together[1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("affine_ridge", "affine_ridge needs at least 3 dots and there is 1"),
        ("afine", "no calibration method 'afine'; choose one of offset_shrunk, affine_ridge"),
    ],
)
def test_one_dot_suffices_for_some(name, message):
    dots, _ = dots_of(person(dots=1))
    with pytest.raises(CalibrationError, match=message):
        method_named(name, methods(), dots)
    assert method_named("offset", methods(), dots).needs == 1


def test_equal_points_missing_features_and_bad_numbers_are_named():
    frames = person(dots=4)
    same, _ = dots_of(replace(frames, target=torch.ones_like(frames.target)))
    with pytest.raises(CalibrationError, match=r"all 4 dots are at \(1.00, 1.00\) cm, and affine_ls needs"):
        method_named("affine_ls", methods(), same)
    with pytest.raises(CalibrationError, match="svr reads the model's features"):
        method_named("svr", methods(), dots_of(frames)[0])
    with pytest.raises(CalibrationError, match="latent changes the output head of a model, and there is no model"):
        method_named("latent", methods(), dots_of(frames)[0])
    broken = frames.point.clone()
    broken[3] = torch.nan
    with pytest.raises(CalibrationError, match="1 of 32 frames have a prediction that is NaN"):
        dots_of(replace(frames, point=broken))
    with pytest.raises(CalibrationError, match="no calibration dots"):
        dots_of(person(dots=0))
