"""Says what calibration did, and which model it is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gaze.calibration.held_out import Comparison
from gaze.checkpoints import WEIGHTS
from gaze.runs import Run, RunError
from gaze.tensor_files import sha256


def fingerprint(run: str | Path) -> str:
    """The sha256 of the weights that the run's model is loaded with.

    Raises:
        RunError: there are none.
    """
    opened = Run(run)
    newest = opened.best.newest() or opened.last.newest()
    if newest is None:
        raise RunError(f"{run} holds no weights; train it first, or give another run")
    return sha256(newest / WEIGHTS)


def print_comparisons(compared: Mapping[str, Comparison]) -> None:
    """A row per person, and all of them: cm before and after, on held-out dots."""
    sheet = Table("", "before, cm", "after, cm", "held-out dots", title="calibration", title_justify="left")
    for column in sheet.columns[1:]:
        column.justify = "right"
    known = {name: found for name, found in compared.items() if found.dots}
    for name, found in compared.items():
        cells = (f"{found.before_cm:.3f}", f"{found.after_cm:.3f}") if found.dots else ("unknown", "unknown")
        sheet.add_row(name, *cells, str(found.dots))
    if len(known) > 1:
        sheet.add_section()
        means = [
            math.fsum(values) / len(known)
            for values in zip(*((f.before_cm, f.after_cm) for f in known.values()), strict=True)
        ]
        worse = sum(found.after_cm > found.before_cm for found in known.values())
        sheet.add_row(
            f"mean of {len(known)} people, {worse} worse",
            *(f"{value:.3f}" for value in means),
            str(sum(found.dots for found in known.values())),
        )
    Console().print(sheet)
