"""predictions.csv: a row per frame, from which every report can be made again without model or data."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.datasets.screen_labels import ScreenLabels
from gaze.devices import KINDS
from gaze.errors import UserError
from gaze.geometry import angle_at_distance, angle_between_points, error_cm_to_px
from gaze.label_units import CM, UNITS
from gaze.screens.rows import LENGTHS, PointRows, unit_of

OURS = "pred"  # prefix of the model's point; baselines and calibrated points have others
CALIBRATED = "calibrated"
AXES = {1: ("",), 2: ("_x", "_y"), 3: ("_x", "_y", "_z")}
FLOATS = {name: [f"{name}{axis}" for axis in AXES[max(width, 1)]] for name, width in LENGTHS.items()}
NUMBERS = ("orientation", "dot_index", "fixation")
TEXTS = ("sample_id", "subject", "recording", "device", "kind")
# Facts about whole tables, the same in each row; protocol: what is not as published, such as samples that are left out
ABOUT = ("split", "model", "run", "fingerprint", "commit", "dataset", "protocol")
LEFT_OUT = "left_out"  # of tables from several runs: what the run of the row never saw
UNIT, DEG_KIND = "unit", "deg_kind"  # of the points; whether err_deg is exact or approximate
FACTS = tuple(field for fields in FLOATS.values() for field in fields)
NEEDED = (*TEXTS, "orientation", "fixation", "gt_x", "gt_y", "pred_x", "pred_y", *FACTS)


def prediction_table(
    rows: PointRows,
    labels: ScreenLabels,
    others: Mapping[str, Float[Tensor, "n 2"]] | None = None,
    log_scale: Float[Tensor, "n 2"] | None = None,
) -> pa.Table:
    """The table of a split's frames, in the order of its labels. A cell is empty where nothing is known, or failed.

    Args:
        rows: predicted points with their facts.
        labels: of the same frames.
        others: further points of the same frames by name: baselines, calibrated ones.
        log_scale: as in `ScreenPrediction`.
    """
    kinds, unit = [*KINDS, ""], unit_of(rows, labels.unit)
    columns: dict[str, list[object] | pa.Array] = {
        "sample_id": list(labels.sample_id),
        "subject": [labels.subjects[i] for i in labels.subject.tolist()],
        "recording": [labels.recordings[i] for i in labels.recording.tolist()],
        "device": [labels.devices[i] if i >= 0 else "" for i in labels.device.tolist()],
        "kind": [kinds[i] for i in rows.kind.tolist()],
        "orientation": rows.orientation.tolist(),
        "dot_index": labels.dot.tolist(),
        "fixation": rows.fixation.tolist(),
        UNIT: [unit] * len(rows),
    }
    points = {"gt": rows.truth, OURS: rows.point, **{_prefix(name): value for name, value in (others or {}).items()}}
    if log_scale is not None:
        points["log_b"] = log_scale
    for name, value in points.items():
        columns |= {f"{name}{axis}": _cells(value[:, i]) for i, axis in enumerate(AXES[2])}
    for name, fields in FLOATS.items():
        facts = getattr(rows, name).reshape(len(rows), -1)
        columns |= {field: _cells(facts[:, i]) for i, field in enumerate(fields)}
    return pa.table(columns | _errors(rows, unit))


def _errors(rows: PointRows, unit: str) -> dict[str, list[object] | pa.Array]:
    """The model's error in each frame; in pixels and degrees, too, where labels are in cm and the screen allows it."""
    off = rows.point - rows.truth
    error = off.norm(dim=-1)
    pixels = error_cm_to_px(off, rows.screen_px, rows.screen_cm)
    exact = angle_between_points(rows.point, rows.truth, rows.origin).rad2deg()
    about = angle_at_distance(error, rows.distance_cm).rad2deg()
    placed, ranged = rows.origin.isfinite().all(-1), rows.distance_cm.isfinite()
    degrees = torch.where(placed, exact, about)
    kinds = ["exact" if p else "approximate" if r else "" for p, r in zip(placed, ranged, strict=True)]
    if unit != CM:
        pixels, degrees, kinds = pixels * torch.nan, degrees * torch.nan, [""] * len(rows)
    return {f"err_{unit}": _cells(error), "err_px": _cells(pixels), "err_deg": _cells(degrees), DEG_KIND: list(kinds)}


def with_facts(table: pa.Table, about: Mapping[str, str]) -> pa.Table:
    """The table with these facts in every row, so that a file of it says where it is from.

    Args:
        about: some of `ABOUT`; they replace what the table says.
    """
    unknown = set(about) - set(ABOUT)
    if unknown:
        raise ValueError(f"facts of a table are {', '.join(ABOUT)}; got {', '.join(sorted(unknown))}")
    for name, value in about.items():
        cells = pa.array([value] * len(table), pa.string())
        place = table.column_names.index(name) if name in table.column_names else -1
        table = table.append_column(name, cells) if place < 0 else table.set_column(place, name, cells)
    return table


def facts_in(table: pa.Table) -> dict[str, str]:
    """What `with_facts` said; of a table put together from several, all that was said."""
    there = [name for name in ABOUT if name in table.column_names]
    return {name: "; ".join(sorted(filter(None, set(table[name].to_pylist())))) for name in there}


def points_in(table: pa.Table) -> list[str]:
    """Names of all predicted points in a table, the model's first."""
    found = [
        c.removesuffix("_x") for c in table.column_names if c.endswith("_x") and f"{c[:-2]}_y" in table.column_names
    ]
    return [name for name in found if name not in ("gt", "log_b", *LENGTHS)]


def rows_in(table: pa.Table, name: str = OURS) -> PointRows:
    """The rows of one of the predicted points of a table; of calibrated ones, those of frames that were calibrated.

    Raises:
        UserError: the points are in a unit that nobody knows.
    """

    def numbers(column: str) -> Tensor:
        return torch.tensor(pc.fill_null(table[column].cast(pa.float64()), float("nan")).to_numpy().copy())

    def codes(column: str) -> Int[Tensor, "n"]:
        return torch.tensor(
            table[column].cast(pa.string()).combine_chunks().dictionary_encode().indices.to_numpy().copy()
        )

    facts = {fact: torch.stack([numbers(f) for f in fields], 1) for fact, fields in FLOATS.items()}
    facts["distance_cm"] = facts["distance_cm"][:, 0]
    kind = torch.tensor([KINDS.index(k) if k in KINDS else -1 for k in table["kind"].to_pylist()], dtype=torch.int64)
    rows = PointRows(
        point=torch.stack([numbers(f"{name}_x"), numbers(f"{name}_y")], 1),
        truth=torch.stack([numbers("gt_x"), numbers("gt_y")], 1),
        **facts,
        orientation=numbers("orientation").long(),
        kind=kind,
        device=codes("device").long(),
        subject=codes("subject").long(),
        fixation=numbers("fixation").long(),
        unit=_units(table),
    )
    return rows.at(calibrated_in(table)) if name == CALIBRATED else rows


def calibrated_in(table: pa.Table) -> Tensor:
    """Which frames have a calibrated point, or would have one if prediction had not failed."""

    def known(name: str) -> Tensor:
        cells = [pc.is_finite(table[f"{name}{axis}"].cast(pa.float64())).fill_null(False) for axis in AXES[2]]
        return torch.tensor(pc.and_(*cells).to_numpy().copy())

    return known(CALIBRATED) | ~known(OURS)


def rows_by_name(table: pa.Table) -> dict[str, PointRows]:
    """The rows of all predicted points in a table, the model's first; without those that no frame has.

    Where only some frames are calibrated, the model's points in these stand beside theirs.
    """
    found = {name: rows_in(table, name) for name in points_in(table)}
    found = {name: rows for name, rows in found.items() if name == OURS or rows.point.isfinite().all(-1).any()}
    if CALIBRATED in found and len(found[CALIBRATED]) < len(table):
        found[f"{OURS}_where_{CALIBRATED}"] = found[OURS].at(calibrated_in(table))
    return found


def write_csv(table: pa.Table, file: Path) -> None:
    """Write a table whole, or not at all."""
    aside = file.with_name(f".{file.name}.writing")
    pyarrow.csv.write_csv(table, aside)
    os.replace(aside, file)


def read_predictions(file: str | Path) -> pa.Table:
    """The table of a predictions.csv.

    Raises:
        UserError: there is no such file, or it is no table of predictions.
    """
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the predictions.csv that an evaluation wrote")
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        names = next(csv.reader(stream), [])
    # Types are said, not guessed: a column of whole numbers, or of none, must come back as it was written.
    types = {name: pa.float64() for name in names if name.endswith(("_x", "_y", "_z"))}
    types |= dict.fromkeys([*FLOATS["distance_cm"], *(name for name in names if name.startswith("err_"))], pa.float64())
    types |= dict.fromkeys(NUMBERS, pa.int64()) | dict.fromkeys([*TEXTS, *ABOUT, LEFT_OUT, UNIT, DEG_KIND], pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=types, null_values=["", "nan", "NaN"], strings_can_be_null=False)
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not readable as CSV: {error}") from error
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise UserError(f"{path} has no column {', '.join(missing)}; expected a predictions.csv of tools/evaluate.py")
    if not len(table):
        raise UserError(f"{path} has no row; expected one for each frame, as tools/evaluate.py writes them")
    return table


def _units(table: pa.Table) -> Int[Tensor, "n"]:
    """Numbers of the units of the points; -1 for a table that does not say them, whose points are in cm."""
    if UNIT not in table.column_names:
        return torch.full((len(table),), -1)
    said = table[UNIT].to_pylist()
    unknown = sorted(set(said) - set(UNITS))
    if unknown:
        raise UserError(f"the table's points are in {', '.join(map(repr, unknown))}; expected {' or '.join(UNITS)}")
    return torch.tensor([UNITS.index(name) for name in said], dtype=torch.int64)


def _cells(values: Float[Tensor, "n"]) -> pa.Array:
    """The values, empty where they are NaN."""
    return pa.array(values.double().cpu().numpy(), pa.float64(), from_pandas=True)


def _prefix(name: str) -> str:
    return name.replace(" ", "_")
