"""predictions.csv: a row per frame, from which every report can be made again without model or data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.datasets.screen_labels import CM, ScreenLabels
from gaze.devices import KINDS
from gaze.errors import UserError
from gaze.screens.rows import LENGTHS, PointRows

LEFT_OUT = "left_out"  # column of tables from several runs: what the run of the row never saw
UNIT = "unit"  # column of tables whose points are not in cm
OURS = "pred"  # prefix of the model's point; baselines and calibrated points have others
AXES = {1: ("",), 2: ("_x", "_y"), 3: ("_x", "_y", "_z")}
FLOATS = {name: [f"{name}{axis}" for axis in AXES[max(width, 1)]] for name, width in LENGTHS.items()}
TEXTS = ("sample_id", "subject", "recording", "device", "kind")


def prediction_table(
    rows: PointRows,
    labels: ScreenLabels,
    others: Mapping[str, Float[Tensor, "n 2"]] | None = None,
    log_scale: Float[Tensor, "n 2"] | None = None,
) -> pa.Table:
    """The table of a split's frames, in the order of its labels.

    Args:
        rows: predicted points with their facts.
        labels: of the same frames.
        others: further points of the same frames by name: baselines, calibrated ones.
        log_scale: as in `ScreenPrediction`.
    """
    kinds = [*KINDS, ""]
    columns: dict[str, list[object]] = {
        "sample_id": list(labels.sample_id),
        "subject": [labels.subjects[i] for i in labels.subject.tolist()],
        "recording": [labels.recordings[i] for i in labels.recording.tolist()],
        "device": [labels.devices[i] if i >= 0 else "" for i in labels.device.tolist()],
        "kind": [kinds[i] for i in rows.kind.tolist()],
        "orientation": rows.orientation.tolist(),
        "dot_index": labels.dot.tolist(),
        "fixation": rows.fixation.tolist(),
    }
    points = {"gt": rows.truth, OURS: rows.point, **{_prefix(name): value for name, value in (others or {}).items()}}
    if log_scale is not None:
        points["log_b"] = log_scale
    for name, value in points.items():
        columns |= {f"{name}{axis}": value[:, i].tolist() for i, axis in enumerate(AXES[2])}
    for name, fields in FLOATS.items():
        facts = getattr(rows, name).reshape(len(rows), -1)
        columns |= {field: facts[:, i].tolist() for i, field in enumerate(fields)}
    error = (rows.point - rows.truth).norm(dim=-1)
    if labels.unit != CM:
        columns[UNIT] = [labels.unit] * len(rows)
    return pa.table({**columns, f"err_{labels.unit}": error.tolist()})


def unit_of(table: pa.Table) -> str:
    """The unit of the points of a table: cm, unless it says another one."""
    units = table[UNIT].unique().to_pylist() if UNIT in table.column_names else []
    return units[0] if units else CM


def points_in(table: pa.Table) -> list[str]:
    """Names of all predicted points in a table, the model's first."""
    found = [
        c.removesuffix("_x") for c in table.column_names if c.endswith("_x") and f"{c[:-2]}_y" in table.column_names
    ]
    return [name for name in found if name not in ("gt", "log_b", *LENGTHS)]


def rows_in(table: pa.Table, name: str = OURS) -> PointRows:
    """The rows of one of the predicted points of a table."""

    def numbers(column: str) -> Tensor:
        return torch.tensor(pc.fill_null(table[column].cast(pa.float64()), float("nan")).to_numpy().copy())

    def codes(column: str) -> Int[Tensor, "n"]:
        return torch.tensor(
            table[column].cast(pa.string()).combine_chunks().dictionary_encode().indices.to_numpy().copy()
        )

    facts = {fact: torch.stack([numbers(f) for f in fields], 1) for fact, fields in FLOATS.items()}
    facts["distance_cm"] = facts["distance_cm"][:, 0]
    kind = torch.tensor([KINDS.index(k) if k in KINDS else -1 for k in table["kind"].to_pylist()], dtype=torch.int64)
    return PointRows(
        point=torch.stack([numbers(f"{name}_x"), numbers(f"{name}_y")], 1),
        truth=torch.stack([numbers("gt_x"), numbers("gt_y")], 1),
        **facts,
        orientation=numbers("orientation").long(),
        kind=kind,
        device=codes("device").long(),
        subject=codes("subject").long(),
        fixation=numbers("fixation").long(),
    )


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
    texts = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in (*TEXTS, UNIT, LEFT_OUT)},
        null_values=["", "nan", "NaN"],
        strings_can_be_null=False,
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=texts)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not readable as CSV: {error}") from error
    needed = [*TEXTS, "orientation", "fixation", "gt_x", "gt_y", "pred_x", "pred_y"]
    needed += [field for fields in FLOATS.values() for field in fields]
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise UserError(f"{path} has no column {', '.join(missing)}; expected a predictions.csv of tools/evaluate.py")
    return table


def _prefix(name: str) -> str:
    return name.replace(" ", "_")
