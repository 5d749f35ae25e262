"""Says what calibration did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table

from gaze.calibration.held_out import Outcome
from gaze.calibration.people import Person
from gaze.pictures.calibration import before_after_picture
from gaze.screens.evaluation import report

COLUMNS = ("calibrated_x", "calibrated_y")


def write_people(found: Mapping[str, Outcome], folder: Path) -> None:
    """A file for each person's calibration in the folder's people/; print what they do, and warn of what is odd."""
    place = folder / "people"
    place.mkdir(parents=True, exist_ok=True)
    for name, person in found.items():
        person.calibration.write(place / f"{quote(name, safe='') or 'unnamed'}.json")
        for warning in person.calibration.warnings:
            print(f"{name}: {warning}")
    print_outcomes(found)


def write_points(
    table: pa.Table,
    people: Mapping[str, Person],
    found: Mapping[str, Outcome],
    folder: Path,
    about: Mapping[str, str],
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """All reports of an evaluation about the held-out frames, with calibrated points beside the model's.

    predictions.csv has the columns calibrated_x and calibrated_y, before_after.png is the picture of it.
    """
    held = [(people[name].rows[person.held_out], person.point) for name, person in found.items() if person.dots]
    if not held:
        print("no dot is left to measure with: show more, or give dots=...")
        return
    rows, point = torch.cat([rows for rows, _ in held]), torch.cat([point for _, point in held])
    order = rows.argsort()
    table = table.drop_columns([name for name in COLUMNS if name in table.column_names]).take(rows[order].numpy())
    for axis, name in enumerate(COLUMNS):
        table = table.append_column(name, pa.array(point[order, axis].numpy()))
    report(table, folder, about, resamples, seed)
    before_after_picture(table, folder / "before_after.png")


def print_outcomes(found: Mapping[str, Outcome]) -> None:
    """A row per person, and all of them: cm before and after, on held-out dots."""
    sheet = Table("", "method", "before, cm", "after, cm", "held-out dots", title="calibration", title_justify="left")
    for column in sheet.columns[2:]:
        column.justify = "right"
    known = {name: person for name, person in found.items() if person.dots}
    for name, person in found.items():
        cells = (f"{person.before_cm:.3f}", f"{person.after_cm:.3f}") if person.dots else ("unknown", "unknown")
        sheet.add_row(name, person.calibration.method, *cells, str(person.dots))
    if len(known) > 1:
        sheet.add_section()
        means = [
            math.fsum(values) / len(known)
            for values in zip(*((p.before_cm, p.after_cm) for p in known.values()), strict=True)
        ]
        worse = sum(person.after_cm > person.before_cm for person in known.values())
        sheet.add_row(
            f"mean of {len(known)} people",
            f"{worse} worse",
            *(f"{value:.3f}" for value in means),
            str(sum(person.dots for person in known.values())),
        )
    Console().print(sheet)
