"""Rows in, the same rows out of the file."""

import csv

import pyarrow.parquet as pq
import pytest

from gaze.errors import UserError
from gaze.inference import tables
from gaze.inference.tables import FORMATS, SCHEMA, check_formats, rows_of

PERSON = {
    "person": 2,
    "head_bbox": [0.1, 0.2, 0.3, 0.4],
    "head_bbox_px": [6.4, 9.6, 19.2, 19.2],
    "gaze": [0.5, 0.25],
    "gaze_px": [32.0, 12.0],
    "peak_probability": 0.75,
    "inout_probability": 0.5,
    "gaze_smooth": [0.25, 0.5],
    "gaze_smooth_px": [16.0, 24.0],
}
BARE = PERSON | {"person": 3, "head_bbox_px": None, "gaze_smooth_px": None, "inout_probability": None}


def record(frame, *people):
    return {"frame": frame, "time_s": frame / 25, "people": list(people)}


def test_the_columns_are_those_that_are_documented():
    documented = "frame time_s person x0 y0 x1 y1 gaze_x gaze_y gaze_x_smooth gaze_y_smooth peak inout"
    assert documented.split() == SCHEMA.names
    (row,) = rows_of(record(5, PERSON))
    assert [*row.values()] == [5, 0.2, 2, 6.4, 9.6, 19.2, 19.2, 32.0, 12.0, 16.0, 24.0, 0.75, 0.5]
    assert rows_of(record(5)) == []


def test_csv_is_text_with_nothing_where_nothing_is_known(tmp_path):
    with FORMATS["csv"](tmp_path / "t.csv") as table:
        table.add(rows_of(record(0, PERSON, BARE)))
        table.add(rows_of(record(1)))
    text = (tmp_path / "t.csv").read_text()
    assert text.splitlines()[0] == ",".join(SCHEMA.names)
    first, second = csv.DictReader(text.splitlines())
    assert {name: float(value) for name, value in first.items()} == rows_of(record(0, PERSON))[0]
    assert {name for name, value in second.items() if value == ""} == {
        "x0", "y0", "x1", "y1", "gaze_x_smooth", "gaze_y_smooth", "inout"
    }  # fmt: skip


def test_parquet_gives_the_rows_back_in_groups_that_bound_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 4)
    rows = [row for frame in range(5) for row in rows_of(record(frame, PERSON, BARE))]
    with FORMATS["parquet"](tmp_path / "t.parquet") as table:
        for frame in range(5):
            table.add(rows_of(record(frame, PERSON, BARE)))
            assert len(table.waiting) < 4
    file = pq.ParquetFile(tmp_path / "t.parquet")
    assert file.read().to_pylist() == rows
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 4, 2]
    assert file.schema_arrow.equals(SCHEMA)


@pytest.mark.parametrize("form", FORMATS)
def test_a_video_with_nobody_in_it_is_a_table_without_rows(tmp_path, form):
    with FORMATS[form](tmp_path / f"t.{form}"):
        pass
    read = {"csv": lambda f: len(f.read_text().splitlines()) - 1, "parquet": lambda f: pq.read_table(f).num_rows}
    assert read[form](tmp_path / f"t.{form}") == 0


def test_formats_are_checked_by_name():
    assert check_formats(["parquet", "csv", "csv"]) == ["parquet", "csv"]
    assert check_formats("csv") == ["csv"]
    assert check_formats([]) == check_formats(None) == []
    with pytest.raises(UserError, match=r"tables has 'xlsx'; expected formats out of csv, parquet"):
        check_formats(["csv", "xlsx"])
