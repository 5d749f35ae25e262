"""Personal calibration of directions: how much better somebody's gaze is known after a few samples of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.calibration.corrections import Correction
from gaze.calibration.dots import CalibrationError, Dots
from gaze.calibration.methods import Method
from gaze.calibration.selection import NONE
from gaze.directions.rows import DirectionRows
from gaze.geometry import angular_error, pitch_yaw_to_vector, vector_to_pitch_yaw
from gaze.seeds import generator

HELD = 4  # one part of so many of somebody's samples is never calibrated with
SCHEMA = pa.schema(
    [("method", pa.string()), ("samples", pa.int64()), ("people", pa.int64()), ("draws", pa.int64())]
    + [(name, pa.float64()) for name in ("error_deg", "before_deg", "worse")]
)


def fit(method: Method, gaze: Float[Tensor, "k 3"], truth: Float[Tensor, "k 3"]) -> Correction:
    """A correction of pitch and yaw, in degrees, from samples of somebody whose true gaze is known.

    Methods are those of points on screens, `gaze.calibration.methods`, of which some read nothing but the prediction:
    a mean offset, or an affine map.
    """
    found, true = vector_to_pitch_yaw(gaze.double()), vector_to_pitch_yaw(truth.double())
    pitch, yaw = (true - found).unbind(-1)
    off = torch.stack([pitch, torch.atan2(yaw.sin(), yaw.cos())], -1)  # the short way round
    ones = torch.ones(len(gaze), dtype=torch.float64)
    return method.fit(Dots(found.rad2deg(), (found + off).rad2deg(), ones), ones)


def corrected(gaze: Float[Tensor, "n 3"], correction: Correction) -> Float[Tensor, "n 3"]:
    """The calibrated directions, as unit vectors; nobody looks further up or down than straight."""
    moved: Tensor = correction.apply(vector_to_pitch_yaw(gaze.double()).rad2deg())
    pitch, yaw = moved.deg2rad().unbind(-1)
    return pitch_yaw_to_vector(torch.stack([pitch.clamp(-torch.pi / 2, torch.pi / 2), yaw], -1))


def direction_curve(
    rows: DirectionRows, methods: Mapping[str, Method], samples: Sequence[int], draws: int = 10, seed: int = 0
) -> pa.Table:
    """A row per method and number of samples: mean errors of held-out samples over draws, then over people, degrees.

    In every draw a quarter of a person's samples, at least one, are held out for all numbers, and fewer samples are among
    more of them. A person counts where enough are left; every row has the error without calibration (`before_deg`) of
    the same people and samples, and the share of people for whom the method makes it `worse`.

    Raises:
        CalibrationError: no method reads predictions alone, or nobody has samples enough.
    """
    usable = {name: method for name, method in methods.items() if not method.reads}
    if not usable:
        raise CalibrationError(
            f"{', '.join(methods)} read more than predicted directions; choose 'calibrator=[offset,affine_ridge]'"
        )
    known = rows.at(rows.gaze.isfinite().all(-1) & rows.truth.isfinite().all(-1) & (rows.subject >= 0))
    errors: dict[tuple[str, int], list[Tensor]] = {}
    for person in known.subject.unique().tolist():
        some = known.at(known.subject == person)
        for key, error in _of_person(some, usable, samples, draws, seed).items():
            errors.setdefault(key, []).append(error)
    if not errors:
        raise CalibrationError(
            f"nobody has {min(samples)} samples and a quarter of all to measure with; expected people with several samples "
            "whose true gaze is known: give another split"
        )
    found = []
    for name in (NONE, *usable):
        for count in samples:
            if (name, count) in errors:
                after, before = torch.stack(errors[name, count]), torch.stack(errors[NONE, count])
                worse = float((after > before + 1e-9).double().mean())
                told = (name, count, len(after), draws, float(after.mean()), float(before.mean()), worse)
                found.append(dict(zip(SCHEMA.names, told, strict=True)))
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _of_person(
    rows: DirectionRows, methods: Mapping[str, Method], samples: Sequence[int], draws: int, seed: int
) -> dict[tuple[str, int], Float[Tensor, ""]]:
    """Mean error of held-out samples over draws, degrees, by method and number of samples."""
    held = max(1, len(rows) // HELD)
    random = generator(seed, int(rows.subject[0]))
    found: dict[tuple[str, int], list[Tensor]] = {}
    for _ in range(draws):
        order = torch.randperm(len(rows), generator=random)
        rest = rows.at(order[-held:])
        for count in samples:
            if count <= len(rows) - held:
                found.setdefault((NONE, count), []).append(rest.error.mean().rad2deg())
                for name, method in methods.items():
                    if count >= method.needs:
                        found.setdefault((name, count), []).append(_error(rows, method, order[:count], rest))
    return {key: torch.stack(values).mean() for key, values in found.items()}


def _error(rows: DirectionRows, method: Method, chosen: Int[Tensor, "k"], rest: DirectionRows) -> Float[Tensor, ""]:
    correction = fit(method, rows.gaze[chosen], rows.truth[chosen])
    return angular_error(corrected(rest.gaze, correction), rest.truth).mean().rad2deg()
