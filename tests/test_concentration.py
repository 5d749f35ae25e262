"""Von Mises-Fisher: the cone of a share against drawn directions, the likelihood against what it must be."""

import math

import pytest
import torch

from gaze.concentration import mean_angle, negative_log_likelihood, one_minus_cosine, quantile, share_within


def drawn_angles(kappa, count=1_000_000):
    """Angles from the mean of drawn directions: 1 - cos a is exponential, cut off at 2."""
    u = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(int(kappa)))
    far = -torch.log(1 - u * -math.expm1(-2 * kappa)) / kappa
    # as vectors, so that the angle is that of a direction and not the formula under test once more
    cosine = 1 - far
    return torch.atan2((1 - cosine.square()).clamp(min=0).sqrt(), cosine)


@pytest.mark.parametrize("kappa", [2.0, 52.0, 5000.0])
def test_cones_hold_the_share_that_they_are_to_hold(kappa):
    angles = drawn_angles(kappa)
    k = torch.tensor([kappa], dtype=torch.float64)
    for q in (0.5, 0.68, 0.9):
        assert float(quantile(k, q).rad2deg()) == pytest.approx(float(angles.quantile(q).rad2deg()), abs=0.2)
        assert float(share_within(k, quantile(k, q))) == pytest.approx(q, abs=1e-9)
    if kappa > 10:
        assert float(mean_angle(k)) == pytest.approx(float(angles.mean()), rel=0.01)


def test_the_likelihood_of_no_concentration_is_that_of_a_sphere_and_it_is_a_density():
    tiny = torch.tensor([1e-6], dtype=torch.float64)
    assert float(negative_log_likelihood(tiny, torch.zeros(1))) == pytest.approx(math.log(4 * math.pi), abs=1e-3)
    angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    density = (-negative_log_likelihood(torch.tensor(20.0, dtype=torch.float64), one_minus_cosine(angle))).exp()
    assert float(torch.trapezoid(density * 2 * math.pi * angle.sin(), angle)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kappa", [5.0, 300.0])
def test_the_likelihood_is_best_at_the_true_concentration(kappa):
    far = one_minus_cosine(drawn_angles(kappa, 50_000))
    tried = kappa * torch.linspace(0.8, 1.25, 91, dtype=torch.float64)
    found = negative_log_likelihood(tried[:, None], far).mean(1)
    assert float(tried[found.argmin()]) == pytest.approx(kappa, rel=0.05)


def test_small_angles_and_large_concentrations_keep_their_digits_in_float32():
    far = one_minus_cosine(torch.tensor(1e-4))
    assert float(far) == pytest.approx(5e-9, rel=1e-5)
    assert float(quantile(torch.tensor(1e4), 0.5)) == pytest.approx(math.sqrt(2 * math.log(2) / 1e4), rel=1e-4)
