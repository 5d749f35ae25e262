"""The reports of an evaluation of directions, all made from the table of predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise, product
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool
from torch import Tensor

from gaze.bootstrap import Interval
from gaze.codebooks.meaning import meanings
from gaze.directions.bands import all_bands, subsets
from gaze.directions.banks import bank_table
from gaze.directions.figures import error_measures, measures
from gaze.directions.rows import DirectionRows
from gaze.directions.table import ATTRIBUTE, BANK, CODE, DETECTED, LUMA, OURS, TEMPERED, numbers, rows_by_name, rows_in
from gaze.geometry import vector_to_pitch_yaw
from gaze.measures import Frames, Measure, or_nan, quantile
from gaze.people_intervals import over_people
from gaze.screens.reports import Found, long_rows, long_table
from gaze.screens.table import LEFT_OUT, facts_in, write_csv

EACH = ("error_deg", "error_median_deg", "hit_5deg")  # what files about parts of a split say of each
FIFTHS = 5  # parts of the faces by how bright they are
Parts = Iterator[tuple[str, str, Bool[Tensor, "n"]]]  # what they are parts by, which part, its samples


def intervals(rows: DirectionRows, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of every figure, by `gaze.people_intervals.over_people`."""
    return over_people(lambda subject: measures(replace(rows, subject=subject)), rows.subject, resamples, seed)


def summary(table: pa.Table, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Found]]:
    """What was found, by the name of whose directions they are (the model's, and every baseline's) and the figure's."""
    found = {}
    for name, rows in rows_by_name(table).items():
        ends = intervals(rows, resamples, seed)
        found[name] = {m.name: Found(m.figure(), ends.get(m.name), m.n) for m in measures(rows) if m.n}
    return found


def part_rows(table: pa.Table, parts: Parts, resamples: int = 1000, seed: int = 0) -> pa.Table:
    """A row for each part of the samples that is not empty, and whose directions, with its errors and their intervals."""
    about, found = facts_in(table), list[dict[str, object]]()
    whole = {
        name: rows_in(table, name) for name in rows_by_name(table) if name != TEMPERED
    }  # whose directions are ours
    for (by, part, mask), (name, every) in product(parts, whole.items()):
        rows = every.at(mask & (every.gaze.isfinite().all(-1) | (name == OURS)))
        if len(rows):
            error = rows.error.rad2deg()
            # Of the first figure alone: the others' intervals would cost most of the time, and nobody is told them
            ends = over_people(partial(_mean_error, error), rows.subject, resamples, seed)
            figures = {m.name: m.figure() for m in _errors(error, rows.subject)}
            low, high = ends.get(EACH[0], (None, None))
            told = {EACH[0]: figures[EACH[0]], "ci_lo": low, "ci_hi": high} | {key: figures[key] for key in EACH[1:]}
            people = len(rows.subject.unique())
            found.append({"by": by, "part": part, "directions": name, "n": len(rows), "people": people} | told | about)
    kinds = dict.fromkeys((*EACH, "ci_lo", "ci_hi"), pa.float64())
    names = list(found[0]) if found else ["by", "part", "directions", "n"]
    return pa.table({name: pa.array([row[name] for row in found], kinds.get(name)) for name in names})


def by_column(table: pa.Table, columns: list[str]) -> Parts:
    """The samples with each value of these columns, in the order of the values; unknown ones ("") are no part."""
    for column in columns:
        for value in sorted(filter(None, set(table[column].to_pylist()))):
            by = column.removeprefix(ATTRIBUTE).removeprefix(BANK)
            yield (f"chosen {by}" if column.startswith(BANK) else by), value, _mask(table, column, value)


def by_band(table: pa.Table) -> Parts:
    """The samples of each band, degrees."""
    for band in all_bands(rows_by_name(table)[OURS]):
        yield (
            f"{band.of}_deg",
            band.name.replace("_", " to ").replace("up to", "up").replace("down to", "down"),
            band.mask,
        )


def by_luma(table: pa.Table) -> Parts:
    """The darkest fifth of the faces, to the brightest; nothing where they are all alike."""
    luma = numbers(table, LUMA)
    edges = luma[luma.isfinite()].quantile(torch.linspace(0, 1, FIFTHS + 1).double()) if luma.isfinite().any() else luma
    for number, (low, high) in enumerate(pairwise(edges.unique().tolist())):
        last = number == FIFTHS - 1 or high == float(edges[-1])
        yield LUMA, f"{low:.3f} to {high:.3f}", (luma >= low) & ((luma <= high) if last else (luma < high))


def code_table(table: pa.Table) -> pa.Table:
    """What each learned code that some face has stands for: the mean true gaze, how far others are from it, our error."""
    code = numbers(table, CODE)
    rows = rows_by_name(table)[OURS].at(code.isfinite())
    codes, which = code[code.isfinite()].long().unique(return_inverse=True)
    found = meanings(which, rows.truth, len(codes))
    error = torch.zeros(len(codes)).double().index_add_(0, which, rows.error.rad2deg()) / found.pictures
    pitch, yaw = vector_to_pitch_yaw(found.gaze).rad2deg().unbind(-1)
    columns = {"pitch_deg": pitch, "yaw_deg": yaw, "spread_deg": found.spread_rad.rad2deg(), "error_deg": error}
    numbered = {"code": codes.tolist(), "n": found.pictures.tolist()}
    return pa.table(numbered | {name: pa.array(value.tolist(), pa.float64()) for name, value in columns.items()})


def by_subset(table: pa.Table) -> Parts:
    """All samples, the subsets that papers report, and the faces that a detector finds."""
    yield "subset", "all", torch.ones(len(table), dtype=torch.bool)
    for name, mask in subsets(rows_by_name(table)[OURS]).items():
        yield "subset", name, mask
    yield "subset", DETECTED, _mask(table, DETECTED, "yes")


def fold_rows(table: pa.Table) -> pa.Table:
    """Whom or what the runs left out in turn, with the mean error of everybody's directions, degrees.

    Below them, if the folds are parts of one test, the mean of the folds, and the mean over all people of each one's mean.
    """
    folds = sorted(set(table[LEFT_OUT].to_pylist()))
    of_fold = {fold: table.filter(pc.equal(table[LEFT_OUT], fold)) for fold in folds}
    errors = {fold: _means(part, "error_deg") for fold, part in of_fold.items()}
    names = [name for name in rows_by_name(table) if name != TEMPERED]
    people = {fold: len(set(part["subject"].to_pylist())) for fold, part in of_fold.items()}
    found = [{LEFT_OUT: fold, "n": len(of_fold[fold]), "people": people[fold], **errors[fold]} for fold in folds]
    mean = {name: sum(errors[fold].get(name, float("nan")) for fold in folds) / len(folds) for name in names}
    whole = {"n": len(table), "people": len(set(table["subject"].to_pylist()))}
    if one_test(table):
        found.append({LEFT_OUT: "mean of folds", **whole, **mean})
        found.append({LEFT_OUT: "mean over people", **whole, **_means(table, "subject_error_deg")})
    columns = [LEFT_OUT, "n", "people", *names]
    return pa.table({name: [row.get(name) for row in found] for name in columns})


def one_test(table: pa.Table) -> bool:
    """Can all samples be spoken of together? Not where runs were tested on other data sets, or on the same people again."""
    if LEFT_OUT not in table.column_names:
        return True
    folds = [table.filter(pc.equal(table[LEFT_OUT], fold)) for fold in table[LEFT_OUT].unique()]
    people = [set(fold["subject"].to_pylist()) for fold in folds]
    tested = {frozenset(fold["dataset"].to_pylist()) for fold in folds}
    return len(tested) == 1 and sum(map(len, people)) == len(set().union(*people))


def write_reports(table: pa.Table, folder: Path, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Found]]:
    """Write summary.csv and a file for each kind of part; return the summary.

    Of runs that make up no one test there is but the table of what each left out: figures of all samples would mix tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if LEFT_OUT in table.column_names:
        write_csv(fold_rows(table), folder / f"per_{LEFT_OUT}.csv")
    if not one_test(table):
        return {}
    found = summary(table, resamples, seed)
    write_csv(long_table(long_rows(found, facts_in(table), whose="directions")), folder / "summary.csv")
    facts = [name for name in table.column_names if name.startswith((ATTRIBUTE, BANK))]
    files = {
        "per_subject": by_column(table, ["subject"]),
        "per_dataset": by_column(table, ["dataset"]),
        "per_band": chain(by_band(table), by_luma(table)),
        "subsets": by_subset(table),
    } | ({"per_attribute": by_column(table, facts)} if facts else {})
    for name, parts in files.items():
        write_csv(part_rows(table, parts, resamples, seed), folder / f"{name}.csv")
    if any(name.startswith(BANK) for name in facts):
        write_csv(bank_table(table), folder / "banks.csv")
    if CODE in table.column_names:
        write_csv(code_table(table), folder / "codes.csv")
    return found


def _mean_error(error_deg: Tensor, subject: Tensor) -> list[Measure]:
    return [Frames(subject).measure(EACH[0], error_deg)]


def _errors(error_deg: Tensor, subject: Tensor) -> list[Measure]:
    frames = Frames(subject)
    return [
        *_mean_error(error_deg, subject),
        frames.measure("error_median_deg", error_deg, reduce=quantile(0.5)),
        frames.measure("hit_5deg", or_nan(error_deg < 5, error_deg)),
    ]


def _means(table: pa.Table, figure: str) -> Mapping[str, float]:
    return {
        name: next(m.figure() for m in error_measures(rows) if m.name == figure)
        for name, rows in rows_by_name(table).items()
        if name != TEMPERED
    }


def _mask(table: pa.Table, column: str, value: str) -> Bool[Tensor, "n"]:
    return torch.tensor([cell == value for cell in table[column].to_pylist()])
