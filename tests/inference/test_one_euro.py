"""The filter against its formula, and what it promises: calm at rest, quick in motion."""

from math import pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.errors import UserError
from gaze.inference.one_euro import OneEuro

RATE = 30.0


def filtered(euro, signal, times=None):
    times = [i / RATE for i in range(len(signal))] if times is None else times
    known, values = None, []
    for time, sample in zip(times, signal, strict=True):
        known = euro(known, time, torch.as_tensor(sample, dtype=torch.float64))
        values.append(known.value)
    return torch.stack(values)


def test_the_formula_worked_by_hand_for_two_steps():
    """min_cutoff 1/(2 pi), beta 1/(2 pi) and derivative_cutoff 1/(2 pi): a share is f dt / (f dt + 1), f in 1/(2 pi)."""
    euro = OneEuro(1 / (2 * pi), 1 / (2 * pi), 1 / (2 * pi))
    # t=1, x=3: speed 3, half of which passes: 1.5; cut-off 1 + 1.5; share 2.5 / 3.5; 3 * 5 / 7 = 15 / 7.
    # t=3, x=1: speed (1 - 15/7) / 2 = -4/7, of which 2/3 pass: 1.5 / 3 - 8/21 = 5/42; cut-off 47/42;
    # share (47/21) / (47/21 + 1) = 47/68; 15/7 - 8/7 * 47/68.
    values = filtered(euro, [0.0, 3.0, 1.0], [0.0, 1.0, 3.0])
    assert values.tolist() == pytest.approx([0.0, 15 / 7, 15 / 7 - 8 / 7 * 47 / 68], abs=1e-12)


@given(st.floats(-2, 2), st.lists(st.floats(0.001, 3), min_size=1, max_size=8))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_what_rests_is_unchanged_at_any_rate(value, steps):
    times = torch.tensor([0.0, *steps], dtype=torch.float64).cumsum(0).tolist()
    assert (
        filtered(OneEuro(), [[value, -value]] * len(times), times) == torch.tensor([value, -value], dtype=torch.float64)
    ).all()


def test_the_first_sample_is_unchanged():
    assert filtered(OneEuro(), [[0.3, 0.9]]).tolist() == [[0.3, 0.9]]


def test_noise_at_rest_gets_calmer():
    noise = 0.5 + 0.01 * torch.randn(600, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    calm = filtered(OneEuro(), noise)

    def jitter(signal):
        return float(signal.diff(dim=0).norm(dim=1).mean())

    assert jitter(calm) < 0.4 * jitter(noise)
    assert float((calm[60:] - 0.5).norm(dim=1).mean()) < 0.7 * float((noise[60:] - 0.5).norm(dim=1).mean())


def test_beta_bounds_the_lag_after_a_step():
    step = torch.cat([torch.zeros(10), torch.full((60,), 0.4)])

    def frames_to_90_percent(euro):
        return int((filtered(euro, step) > 0.36).nonzero()[0]) - 9

    assert frames_to_90_percent(OneEuro(beta=5.0)) <= 4  # an eighth of a second
    assert frames_to_90_percent(OneEuro(beta=0.0)) >= 11  # ln(10) / (2 pi) seconds at 1 Hz, 30 frames a second


def test_without_beta_it_is_a_low_pass_whose_pace_is_in_seconds_not_in_samples():
    """After a step to 1, what is missing falls by the time constant: the same at 100 samples a second and at 500."""
    half_second = [
        float(filtered(OneEuro(beta=0.0), [0.0] + [1.0] * n, [i / 2 / n for i in range(n + 1)])[-1]) for n in (50, 250)
    ]
    assert half_second == pytest.approx([1 - torch.exp(torch.tensor(-pi)).item()] * 2, abs=0.01)


def test_each_axis_goes_its_own_way():
    both = filtered(OneEuro(), [[0.0, 0.5], [0.4, 0.5], [0.5, 0.4]])
    assert torch.equal(both[:, 0], filtered(OneEuro(), [0.0, 0.4, 0.5]))
    assert torch.equal(both[:, 1], filtered(OneEuro(), [0.5, 0.5, 0.4]))


@pytest.mark.parametrize("late", [0.0, -1.0])
def test_a_clock_that_stands_or_goes_back_leaves_a_finite_answer(late):
    values = filtered(OneEuro(), [0.2, 0.4, 0.9, 0.4], [1.0, 1.1, 1.1 + late, 1.2])
    assert torch.equal(values[2], values[1])
    assert torch.equal(values[3], filtered(OneEuro(), [0.2, 0.4, 0.4], [1.0, 1.1, 1.2])[2])


@pytest.mark.parametrize("name", ["min_cutoff", "derivative_cutoff", "beta"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_settings_without_sense_are_refused(name, value):
    with pytest.raises(UserError, match=rf"smooth.{name}={value}; expected"):
        OneEuro(**{name: value})


def test_a_cut_off_of_0_would_never_move_and_is_refused():
    with pytest.raises(UserError, match=r"min_cutoff=0.*smooth=null"):
        OneEuro(min_cutoff=0)
