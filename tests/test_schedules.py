"""Schedules against values worked by hand and the reference's."""

import itertools

import pytest

from gaze.schedules import Constant, Cosine, Exponential, Linear, Schedule, Step, value_at
from gaze.types import Progress


def test_cosine_is_the_distillation_temperature_of_the_reference():
    temperature = Cosine(start=1.0, end=4.0)
    expected = {0: 1.0, 10: 1.074893, 25: 1.447788, 50: 2.523799, 75: 3.585601, 99: 4.0}
    for step, value in expected.items():
        assert temperature(Progress(step, 100, 10)) == pytest.approx(value, abs=1e-6)


def test_cosine_of_a_single_step_is_at_its_end():
    assert Cosine(start=1.0, end=4.0)(Progress(0, 1, 1)) == 4.0


def test_warm_up_rises_in_a_line_and_hands_over_without_a_jump():
    schedule = Cosine(start=1.0, end=0.0, warmup_epochs=1.0)
    rates = [schedule(Progress(step, 40, 10)) for step in range(40)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[39] == pytest.approx(0.0, abs=1e-12)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(
    "schedule", [Linear(warmup_steps=100), Linear(warmup_epochs=3.0), Cosine(end=0.0, warmup_epochs=3.0)]
)
def test_a_run_that_is_shorter_than_its_warm_up_still_learns(schedule):
    rates = [schedule(Progress(step, 10, 5)) for step in range(10)]
    assert rates == sorted(rates)
    assert rates[0] > 0
    assert rates[-1] == pytest.approx(10 / (100 if schedule.warmup_steps else 15))


def test_a_line_after_a_warm_up_of_some_steps():
    schedule = Linear(start=1.0, end=0.0, warmup_steps=4)
    rates = [schedule(Progress(step, 15, 3)) for step in range(15)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, *(1 - i / 10 for i in range(11))])
    with pytest.raises(ValueError, match="expected 0 or more of one"):
        Linear(warmup_epochs=1.0, warmup_steps=4)


def test_step_changes_at_its_epochs():
    schedule = Step(epochs=[2, 3], values=[1.0, 0.1, 0.01])
    assert [schedule(Progress(step, 8, 2)) for step in range(8)] == [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]


def test_step_with_wrong_values_says_what_it_needs():
    with pytest.raises(ValueError, match="one value more than epochs"):
        Step(epochs=[2, 3], values=[1.0])


def test_exponential_halves_per_epoch():
    schedule = Exponential(rate=0.5, start=8.0)
    assert [schedule(Progress(step, 6, 2)) for step in (0, 2, 4)] == pytest.approx([8, 4, 2])
    assert schedule(Progress(1, 6, 2)) == pytest.approx(8 * 0.5**0.5)


def test_a_number_and_a_schedule_read_alike():
    assert value_at(0.3, Progress(0, 1, 1)) == value_at(Constant(0.3), Progress(0, 1, 1)) == 0.3
    assert isinstance(Constant(), Schedule)
