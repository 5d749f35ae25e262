"""The table: what is written is read back, only what is asked for is read, and damage is named."""

from __future__ import annotations

import pickle
from dataclasses import fields
from datetime import datetime, timezone
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gaze.errors import UserError
from gaze.recordings import writer
from gaze.recordings.order import lots, shuffled
from gaze.recordings.reading import RowReader, read_columns
from gaze.recordings.rows import sample_of
from gaze.recordings.sample import ScreenSample
from gaze.recordings.schema import SCHEMA, header
from gaze.recordings.writer import ScreenWriter
from tests.recordings.miniature import SPLITS, recording, sample


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(writer, "ROW_GROUP", 8)


def write(path, samples, **header):
    with ScreenWriter(path, **({"dataset": "mini", "boxes": "made up"} | header)) as table:
        table.write(samples)
    return path


@pytest.fixture
def table(tmp_path, small_groups):
    """Two files of two row groups each, one row group a person."""
    write(tmp_path / "mini/0.parquet", [*recording("anna"), *recording("ben")])
    write(tmp_path / "mini/1.parquet", [*recording("cleo"), *recording("dan")])
    return tmp_path / "mini"


def same(a: ScreenSample, b: ScreenSample) -> None:
    for name in (f.name for f in fields(ScreenSample)):
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(right, np.ndarray | tuple) or isinstance(left, np.ndarray):
            np.testing.assert_allclose(left, right, atol=1e-3, err_msg=name)
        else:
            assert left == pytest.approx(right) if isinstance(right, float) else left == right, name


def test_a_frame_comes_back_as_it_was_written(tmp_path):
    whole = sample(
        session="1",
        valid=False,
        reject_reason="eyes closed",
        blendshapes=np.full(52, 0.5),
        head_pose=np.arange(6.0),
        head_distance_cm=31.5,
        distance_source="measured",
        camera_K=(560.0, 560.0, 240.0, 320.0),
        gaze_pitchyaw=(0.25, -0.5),
        gaze_vector=(0.0, 0.0, -1.0),
        gaze_origin_cm=(0.5, 1.0, 30.0),
        is_calib_dot=True,
        weight=2.0,
    )
    bare = ScreenSample("mini", "ben", "ben-1", 7)
    rows = RowReader(write(tmp_path / "a.parquet", [whole, bare]), SCHEMA.names)
    same(sample_of(rows.row(0), tmp_path), whole)
    same(sample_of(rows.row(1), tmp_path), bare)
    assert rows.row(0)["sample_id"] == "mini/anna-1/00000"
    assert rows.row(1)["imu_valid"] is False


def test_pictures_that_are_files_move_with_the_table(tmp_path):
    picture = tmp_path / "pictures" / "0.jpg"
    path = write(tmp_path / "tables" / "a.parquet", [sample(picture=picture)])
    assert pq.read_table(path)["frame_path"][0].as_py() == "../pictures/0.jpg"
    row = RowReader(path, ["frame_path", "frame_bytes"]).row(0)
    assert row == {"frame_path": str(picture), "frame_bytes": None}


def test_the_file_says_what_it_is(tmp_path):
    when = datetime(2025, 1, 2, tzinfo=timezone.utc)
    one = write(tmp_path / "a.parquet", recording("anna"), crop={"face": 448}, source_sha256="ab", created=when)
    found = header(one)
    assert (found.dataset, found.boxes, found.crop, found.source_sha256) == ("mini", "made up", {"face": 448}, "ab")
    assert found.created_utc.startswith("2025-01-02")
    other = write(tmp_path / "b.parquet", recording("anna"), crop={"face": 448}, source_sha256="ab", created=when)
    assert one.read_bytes() == other.read_bytes()


def test_a_table_has_one_unit_of_labels(tmp_path):
    with pytest.raises(
        UserError, match=r"mini/ben-1/00000 has a label in half_windows, and frames before it have none"
    ):
        write(tmp_path / "a.parquet", [*recording("anna"), *recording("ben", attrs={"label_unit": "half_windows"})])
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = write(tmp_path / "a.parquet", recording("anna"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="column orientation takes int8"):
        write(path, [*recording("ben"), sample(orientation=300)])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_a_writer_holds_one_row_group(tmp_path, small_groups):
    def frames():
        for frame in range(20):
            assert table.rows == frame // 8 * 8
            yield sample(frame=frame)

    with ScreenWriter(tmp_path / "a.parquet", dataset="mini", boxes="made up") as table:
        table.write(frames())
    assert [pq.ParquetFile(table.path).metadata.row_group(g).num_rows for g in range(3)] == [8, 8, 4]


def test_conditions_choose_rows_and_number_them(table):
    found = read_columns(table, ["subject", "gaze_cam_cm"], [("split", "in", ["train", "test"]), ("frame", "<", 2)])
    assert found.column_names == ["subject", "gaze_cam_cm", "row"]
    assert found["row"].to_pylist() == [0, 1, 8, 9, 24, 25]
    assert found["subject"].to_pylist() == ["anna", "anna", "ben", "ben", "dan", "dan"]
    rows = RowReader(table, ["subject"])
    assert [rows.row(n)["subject"] for n in found["row"].to_pylist()] == found["subject"].to_pylist()
    assert read_columns(table, [])["row"].to_pylist() == list(range(32))
    assert read_columns(table, ["frame"], [("subject", "==", "nobody")]).num_rows == 0
    assert read_columns(table, ["frame"], [("split", "!=", "train"), ("valid", "==", True)]).num_rows == 16
    assert read_columns(table, ["frame"], [("frame", "not in", [0, 1]), ("frame", ">=", 1)]).num_rows == 24


def test_only_what_is_asked_for_is_read(table, monkeypatch):
    """Row groups whose statistics exclude a match, and columns that nobody named, stay on the disk."""
    read = []

    class Spy(pq.ParquetFile):
        def read_row_groups(self, row_groups, columns=None, **options):
            read.append((row_groups, columns))
            return super().read_row_groups(row_groups, columns, **options)

        def read_row_group(self, i, columns=None, **options):
            read.append((i, columns))
            return super().read_row_group(i, columns, **options)

    monkeypatch.setattr("gaze.recordings.schema.pq.ParquetFile", Spy)
    read_columns(table, ["gaze_cam_cm"], [("subject", "==", "ben")])
    assert read == [([1], ["gaze_cam_cm", "subject"]), ([], ["gaze_cam_cm", "subject"])]
    read.clear()
    row = RowReader(table, ["left_eye_bytes", "frame"]).row(17)
    assert set(row) == {"left_eye_bytes", "frame"}
    assert read == [(0, ["left_eye_bytes", "frame"])]


def test_the_pages_of_other_columns_are_not_touched(table):
    """The bytes of the faces may be anything as long as nobody asks for them."""
    file = table / "0.parquet"
    meta = pq.ParquetFile(file).metadata
    data = bytearray(file.read_bytes())
    for group in range(meta.num_row_groups):
        column = next(
            c for c in map(meta.row_group(group).column, range(meta.num_columns)) if c.path_in_schema == "face_bytes"
        )
        data[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = bytes(
            column.total_compressed_size
        )
    file.write_bytes(data)
    assert RowReader(table, ["left_eye_bytes"]).row(3)["left_eye_bytes"] == sample(frame=3).left_eye
    assert read_columns(table, ["frame"]).num_rows == 32
    with pytest.raises(UserError, match=r"0\.parquet holds what can't be decoded \(.*fetch or make it again"):
        RowReader(table, ["face_bytes"]).row(3)


def test_unknown_columns_are_named(table):
    with pytest.raises(UserError, match="no column gaze_mm; it has sample_id"):
        read_columns(table, ["gaze_mm"])


def test_a_reader_keeps_few_row_groups(table):
    rows = RowReader(table, ["frame", "subject"], keep=2)
    for number in (0, 31, 9, 17, 0):
        assert rows.row(number) == {"frame": number % 8, "subject": list(SPLITS)[number // 8]}
    assert len(rows._decoded) == 2
    with pytest.raises(IndexError, match="row 32 of 32"):
        rows.row(32)


def _ask(rows, number, answers):
    answers.put(rows.row(number)["frame"])


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_a_reader_works_in_other_processes(table, way):
    rows = RowReader(table, ["frame"])
    assert rows.row(5)["frame"] == 5  # open here already
    context = get_context(way)
    answers = context.SimpleQueue()
    process = context.Process(target=_ask, args=(rows, 14, answers))
    process.start()
    assert answers.get() == 6
    process.join()
    assert pickle.loads(pickle.dumps(rows)).row(30)["frame"] == 6


def test_shuffled_rows_stay_near_each_other():
    bounds = torch.arange(0, 1025, 64)
    rows = torch.arange(0, 1024, 2)

    def shuffle(seed):
        draws = torch.Generator().manual_seed(seed)
        return shuffled(lots(rows, bounds, draws, buffer=4), draws)

    order = shuffle(0)
    assert order.sort().values.equal(torch.arange(512))
    groups = rows[order] // 64
    for lot in groups.split(4 * 32):
        assert len(lot.unique()) == 4
        assert len(lot[:16].unique()) > 2  # mixed, not one after the other
    assert order.equal(shuffle(0))
    assert not order.equal(shuffle(1))


@pytest.mark.parametrize(("groups", "sizes"), [(3, [3]), (8, [8]), (9, [4, 5]), (17, [5, 6, 6])])
def test_row_groups_are_shared_out_evenly_among_lots(groups, sizes):
    found = lots(torch.arange(groups), torch.arange(groups + 1), torch.Generator().manual_seed(0))
    assert sorted(found.bincount().tolist()) == sizes


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "other", "text", "version", "column", "folder"])
def test_bad_files_get_one_sentence(tmp_path, damage):
    path = write(tmp_path / "a.parquet", recording("anna"))
    whole = pq.read_table(path)
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("subject,x,y\n")
    elif damage == "other":
        pq.write_table(pa.table({"x": [1]}), path)
    elif damage == "version":
        pq.write_table(whole.replace_schema_metadata({"pog.schema_version": "99"}), path)
    elif damage == "column":
        pq.write_table(whole.drop_columns("gaze_cam_cm"), path)
    else:
        path.unlink()
        path.mkdir()
    expected = {
        "missing": "not there",
        "empty": "the file is empty",
        "short": "cut short or damaged",
        "text": "not a Parquet file",
        "other": "lacks the metadata pog.schema_version",
        "version": "has version 99 of the schema, and this program reads version 1",
        "column": "gaze_cam_cm is missing",
        "folder": "without any",
    }[damage]
    with pytest.raises(UserError, match=expected) as error:
        read_columns(path, ["frame"])
    assert str(path) in str(error.value)
    with pytest.raises(UserError, match=expected):
        RowReader(path, ["frame"])
