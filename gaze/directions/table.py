"""predictions.csv of directions: a row per sample, from which every report can be made again without model or data."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.datasets.direction_labels import DirectionLabels
from gaze.directions.rows import DirectionRows
from gaze.errors import UserError
from gaze.parquet_claims import parquet_claim
from gaze.screens.table import ABOUT, LEFT_OUT

OURS = "pred"  # prefix of the model's direction; baselines have others
TEMPERED = "tempered"  # the model's direction with the concentrations that fit the validation split
AXES = ("_x", "_y", "_z")
ANGLES = ("head_pitch", "head_yaw", "spread_pitch", "spread_yaw")  # radians
LUMA, CODE = "luma", "code"  # mean of the face, 0 to 1; number of the learned code
FLOATS = (*ANGLES, "kappa", "tempered_kappa", "error_deg", LUMA)
SECTORS = ("class_chosen", "class_true")  # numbers of gaze prompts
NUMBERS = ("session", "frame", CODE, *SECTORS)
TEXTS = ("name", "dataset", "subject")
ATTRIBUTE, BANK = "attribute_", "bank_"  # prefixes of facts of the sample, and of prompts that the model chose
DETECTED = "detected"
NEEDED = (*TEXTS, "gaze_x", "gaze_y", "gaze_z", "pred_x", "pred_y", "pred_z", "kappa", *ANGLES)


def prediction_table(
    rows: DirectionRows,
    labels: DirectionLabels,
    names: list[str],
    others: Mapping[str, Float[Tensor, "n 3"]] | None = None,
    chosen: Mapping[str, list[str]] | None = None,
    temperature: float | None = None,
    right: Mapping[str, list[str]] | None = None,
    seen: Mapping[str, Tensor] | None = None,
) -> pa.Table:
    """The table of a split's samples, in the order of its labels. A cell is empty where nothing is known, or failed.

    Args:
        rows: predicted directions with their facts.
        labels: of the same samples.
        names: of the samples.
        others: what baselines say of the same samples, by name.
        chosen: the prompt that the model found most similar, by the name of its bank.
        temperature: factor of the concentrations that fits the validation split; None: unknown.
        right: the prompt of the true direction, by the name of its bank; "" where there is none.
        seen: `LUMA` and `CODE` of each sample.
    """
    columns: dict[str, list[object] | pa.Array] = {
        "name": list(names),
        "dataset": [labels.datasets[i] for i in labels.dataset.tolist()],
        "subject": [labels.subjects[i] for i in labels.subject.tolist()],
        "session": labels.session.tolist(),
        "frame": labels.frame.tolist(),
        DETECTED: ["yes" if seen else "no" for seen in labels.detected.tolist()],
    }
    for name, value in {"gaze": rows.truth, OURS: rows.gaze, **(others or {})}.items():
        columns |= {f"{name.replace(' ', '_')}{axis}": _cells(value[:, i]) for i, axis in enumerate(AXES)}
    columns |= {"kappa": _cells(rows.kappa)}
    columns |= {name: _cells(value) for name, value in zip(ANGLES, [*rows.head.T, *rows.spread.T], strict=True)}
    if temperature is not None:
        columns |= {"tempered_kappa": _cells(rows.kappa * temperature)}
    columns |= {"error_deg": _cells(rows.error.rad2deg())}
    if not rows.sector.isnan().all():
        columns |= {name: _whole(value) for name, value in zip(SECTORS, rows.sector.T, strict=True)}
    columns |= {name: _cells(v) if name in FLOATS else _whole(v) for name, v in (seen or {}).items()}
    columns |= {f"{ATTRIBUTE}{name}": list(ids) for name, ids in (right or {}).items()}
    for name, attribute in labels.attributes.items():
        values = [*attribute.values, ""]
        columns[f"{ATTRIBUTE}{name}"] = [values[i] for i in attribute.of.tolist()]
    return pa.table(columns | {f"{BANK}{name}": list(ids) for name, ids in (chosen or {}).items()})


def directions_in(table: pa.Table) -> list[str]:
    """Names of all predicted directions in a table, the model's first."""
    found = [
        c.removesuffix("_x") for c in table.column_names if c.endswith("_x") and f"{c[:-2]}_z" in table.column_names
    ]
    return [name for name in found if name != "gaze"]


def rows_in(table: pa.Table, name: str = OURS) -> DirectionRows:
    """The rows of one of the predicted directions of a table; of baselines, who say nothing of how sure they are."""
    subject = table["subject"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    ours = name == OURS
    sure = (numbers(table, column) * (1.0 if ours else torch.nan) for column in ("kappa", "spread_pitch", "spread_yaw"))
    kappa, *spread = sure
    return DirectionRows(
        gaze=torch.stack([numbers(table, f"{name}{axis}") for axis in AXES], 1),
        truth=torch.stack([numbers(table, f"gaze{axis}") for axis in AXES], 1),
        head=torch.stack([numbers(table, column) for column in ANGLES[:2]], 1),
        concentration=kappa[:, None],
        spread=torch.stack(spread, 1),
        sector=torch.stack([numbers(table, column) * (1.0 if ours else torch.nan) for column in SECTORS], 1),
        moment=_unknown(torch.stack([numbers(table, column) for column in ("session", "frame")], 1)),
        subject=torch.tensor(subject.copy()).long(),
    )


def rows_by_name(table: pa.Table) -> dict[str, DirectionRows]:
    """The rows of all predicted directions in a table, the model's first, of the samples that a baseline knows.

    Where the temperature of a validation split is known, also the model's with the concentrations that follow from it.
    """
    found = {name: rows_in(table, name) for name in directions_in(table)}
    if "tempered_kappa" in table.column_names:
        tempered = numbers(table, "tempered_kappa")[:, None]
        found = {OURS: found[OURS], TEMPERED: replace(found[OURS], concentration=tempered)} | found
    known = {name: rows.gaze.isfinite().all(-1) for name, rows in found.items()}
    return {
        name: rows if name in (OURS, TEMPERED) else rows.at(known[name])
        for name, rows in found.items()
        if name in (OURS, TEMPERED) or known[name].any()
    }


def numbers(table: pa.Table, column: str) -> Float[Tensor, "n"]:
    """A column, NaN where a cell is empty, or all of it if there is none."""
    if column not in table.column_names:
        return torch.full((len(table),), torch.nan, dtype=torch.float64)
    return torch.tensor(pc.fill_null(table[column].cast(pa.float64()), float("nan")).to_numpy().copy())


def write_predictions(table: pa.Table, folder: Path) -> None:
    """Write predictions.csv, and the same as predictions.parquet, each whole or not at all."""
    for name, write in (
        ("predictions.csv", pyarrow.csv.write_csv),
        ("predictions.parquet", pyarrow.parquet.write_table),
    ):
        aside = folder / f".{name}.writing"
        write(table, aside)
        os.replace(aside, folder / name)


def header(file: str | Path) -> list[str]:
    """The names of a table's columns; none if it can't be read."""
    path = Path(file)
    if not path.is_file():
        return []
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_schema(path).names)
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        return next(csv.reader(stream), [])


def holds_directions(file: str | Path) -> bool:
    """Is it a file of predicted directions, rather than of points?"""
    return "gaze_z" in header(file)


def read_predictions(file: str | Path) -> pa.Table:
    """The table of a predictions.csv or .parquet of directions.

    Raises:
        UserError: there is no such file, or it is no table of predictions.
    """
    path, names = Path(file), header(file)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; expected a predictions.csv or .parquet of directions that "
            "tools/evaluate.py wrote"
        )
    if path.suffix == ".parquet":
        claim = parquet_claim(path)
        if claim is not None:
            raise UserError(f"{path} is refused: {claim}; let tools/evaluate.py write it again")
        table = pyarrow.parquet.read_table(path)
    else:
        # Types are said, not guessed: a column of whole numbers, or of none, must come back as it was written.
        types = {name: pa.float64() for name in names if name.endswith(AXES) or name in FLOATS}
        types |= {name: pa.int64() for name in names if name in NUMBERS}
        types |= {
            name: pa.string()
            for name in names
            if name in (*TEXTS, *ABOUT, LEFT_OUT, DETECTED) or name.startswith((ATTRIBUTE, BANK))
        }
        options = pyarrow.csv.ConvertOptions(
            column_types=types, null_values=["", "nan", "NaN"], strings_can_be_null=False
        )
        table = pyarrow.csv.read_csv(path, convert_options=options)
    if not len(table):
        raise UserError(f"{path} has no row; expected one for each sample, as tools/evaluate.py writes them")
    return table


def _unknown(number: Float[Tensor, "n a"]) -> Float[Tensor, "n a"]:
    """NaN where a number is -1."""
    return torch.where(number < 0, torch.nan, number)


def _whole(values: Float[Tensor, "n"] | Int[Tensor, "n"]) -> pa.Array:
    return pa.array(values.double().cpu().numpy(), pa.float64(), from_pandas=True).cast(pa.int64())


def _cells(values: Float[Tensor, "n"]) -> pa.Array:
    return pa.array(values.double().cpu().numpy(), pa.float64(), from_pandas=True)
