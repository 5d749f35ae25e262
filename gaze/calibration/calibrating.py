"""Calibrates people, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.progress import track

from gaze.calibration.dots import CalibrationError
from gaze.calibration.held_out import Outcome, outcome
from gaze.calibration.methods import Method
from gaze.calibration.people import Person


def calibrate_people(
    people: Mapping[str, Person], methods: Mapping[str, Method], method: str | None, about: Mapping[str, str]
) -> dict[str, Outcome]:
    """What calibration does for each person, by name.

    Raises:
        CalibrationError: somebody's frames cannot be calibrated with; the message begins with the name.
    """
    found = {}
    for name in track(people, description="calibrating", console=Console(stderr=True), transient=True):
        _, frames, meant = people[name]
        try:
            found[name] = outcome(frames, meant, methods, method, {**about, "subject": name})
        except CalibrationError as error:
            raise CalibrationError(f"{name}: {error}") from error
    return found
