"""Error against the number of calibration points, for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from torch import Tensor

from gaze.calibration.dots import Dots, Frames, dots_of
from gaze.calibration.methods import Method, in_one_place, lacks
from gaze.calibration.selection import NONE, candidates, choose
from gaze.screens.table import write_csv
from gaze.seeds import generator

POINTS = (1, 3, 5, 9, 13, 30)
CHOSEN = "chosen"  # by leave-one-dot-out among the calibration dots


def curve(
    people: Mapping[str, Frames],
    methods: Mapping[str, Method],
    points: Sequence[int] = POINTS,
    draws: int = 10,
    seed: int = 0,
) -> pa.Table:
    """A row per method and number of points: mean errors on held-out dots over draws, then over users, cm.

    In every draw a quarter of a person's dots, at least one, are held out for all numbers of points, and the
    calibration dots of fewer points are among those of more. A person counts where enough dots are left; every row has
    the error without calibration of the same people and dots.
    """
    names = [NONE, *methods, CHOSEN]
    errors: dict[tuple[str, int], list[Tensor]] = {}
    shown = track(people.values(), description="drawing dots", console=Console(stderr=True), transient=True)
    for number, frames in enumerate(shown):
        for key, error in _of_person(frames, methods, points, draws, generator(seed, number).initial_seed()).items():
            errors.setdefault(key, []).append(error)
    rows = []
    for name in names:
        for count in points:
            if (name, count) in errors:
                rows.append(
                    _row(name, count, draws, torch.stack(errors[name, count]), torch.stack(errors[NONE, count]))
                )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


NUMBERS = ("error_cm", "fixation_error_cm", "before_cm", "fixation_before_cm", "held_out_dots", "worse")
SCHEMA = pa.schema(
    [("method", pa.string()), ("points", pa.int64()), ("users", pa.int64()), ("draws", pa.int64())]
    + [(name, pa.float64()) for name in NUMBERS]
)


def _row(
    name: str, count: int, draws: int, error: Float[Tensor, "u 3"], before: Float[Tensor, "u 3"]
) -> dict[str, object]:
    frame, fixation, held = error.mean(0).tolist()
    worse = float((error[:, 0] > before[:, 0] + 1e-9).double().mean())
    plain, plain_fixation, _ = before.mean(0).tolist()
    values = (frame, fixation, plain, plain_fixation, held, worse)
    about: dict[str, object] = {"method": name, "points": count, "users": len(error), "draws": draws}
    return about | dict(zip(NUMBERS, values, strict=True))


def _of_person(
    frames: Frames, methods: Mapping[str, Method], points: Sequence[int], draws: int, seed: int
) -> dict[tuple[str, int], Float[Tensor, "3"]]:
    """Error of frames, of fixations and the number of held-out dots, means over draws, by method and number of points."""
    dots, which = dots_of(frames)
    held = max(1, len(dots) // 4)
    random = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(len(dots), generator=random) for _ in range(draws)])
    place = order.argsort(-1)  # of each dot in a draw; the last are held out
    test = (place >= len(dots) - held).double()
    found = {}
    for count in points:
        if count > len(dots) - held:
            continue
        weight = dots.frames * (place < count)
        calibrated = {NONE: frames.point.double().expand(draws, len(frames), 2)}
        for name, method in methods.items():
            if _possible(method, dots, count):
                calibrated[name] = method.fit(dots, weight).of(frames)
        calibrated[CHOSEN] = torch.stack(
            [_chosen(dots.at(order[draw, :count]), methods, calibrated)[draw] for draw in range(draws)]
        )
        for name, point in calibrated.items():
            found[name, count] = _errors(point, frames, which, test, held)
    return found


def _chosen(dots: Dots, methods: Mapping[str, Method], calibrated: Mapping[str, Tensor]) -> Float[Tensor, "d n 2"]:
    """The points of the method that these dots choose, in all draws."""
    names = [name for name in candidates(methods, dots, len(dots)) if name in calibrated]
    return calibrated[[*names, NONE][int(choose([methods[name] for name in names], dots, dots.frames))]]


def _possible(method: Method, dots: Dots, count: int) -> bool:
    spread = method.needs == 1 or not in_one_place(dots)
    return count >= method.needs and spread and not lacks(method, dots)


def _errors(
    point: Float[Tensor, "d n 2"], frames: Frames, which: Tensor, test: Float[Tensor, "d k"], held: int
) -> Float[Tensor, "3"]:
    off = point - frames.target
    counts = torch.bincount(which, minlength=test.shape[1])
    middle = off.new_zeros(len(off), test.shape[1], 2).index_add_(1, which, off) / counts[:, None]
    counted = test[:, which]
    frame = (off.norm(dim=-1) * counted).sum(-1) / counted.sum(-1)
    fixation = (middle.norm(dim=-1) * test).sum(-1) / held
    return torch.stack([frame.mean(), fixation.mean(), torch.tensor(float(held), dtype=torch.float64)])


def write_curve(table: pa.Table, folder: Path) -> None:
    """calibration_curve.csv and its picture."""
    from gaze.pictures.calibration import curve_picture

    write_csv(table, folder / "calibration_curve.csv")
    curve_picture(table, folder / "calibration_curve.png")
