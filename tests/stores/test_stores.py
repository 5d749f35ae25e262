"""Tables in an S3-compatible store on loopback: the same rows, whatever goes wrong on the way."""

from __future__ import annotations

import logging
import pickle
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from gaze import parquet_claims
from gaze.datasets.paths import PathError
from gaze.errors import UserError
from gaze.parquet_claims import parquet_claim
from gaze.recordings import writer
from gaze.recordings.reading import RowReader, read_columns, table_files
from gaze.recordings.writer import ScreenWriter
from gaze.stores import pieces, places, store
from gaze.stores.parquet import open_parquet
from gaze.stores.places import Remote, parquet_files, place
from tests.recordings.miniature import recording
from tests.stubs.s3 import served


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A table of two files of two row groups each, and its server."""
    root = tmp_path_factory.mktemp("s3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "ROW_GROUP", 8)
        for name, people in (("0", ("anna", "ben")), ("1", ("cleo", "dan"))):
            with ScreenWriter(root / f"b/mini/{name}.parquet", dataset="mini", boxes="made up") as table:
                for person in people:
                    table.write(recording(person))
    with served(root) as server:
        yield server


@pytest.fixture
def remote(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(pieces, "PIECE", 4096)
    bucket.faults.__init__()
    return place(bucket.uri("b/mini"), tmp_path / "cache", 0.1)


def test_rows_are_those_of_the_files_and_are_fetched_once(remote, bucket):
    local = bucket.folder / "b/mini"
    columns = ["frame", "subject", "gaze_cam_cm"]
    assert read_columns(remote, columns, [("split", "==", "train")]).equals(
        read_columns(local, columns, [("split", "==", "train")])
    )
    size = sum(file.stat().st_size for file in local.iterdir())
    assert bucket.faults.seen["bytes"] < 0.8 * size, "columns that nobody asked for were fetched"
    there, here = RowReader(remote, ["frame", "face_bytes"]), RowReader(local, ["frame", "face_bytes"])
    assert all(there.row(n) == here.row(n) for n in range(32))
    before = bucket.faults.seen.copy()
    again = RowReader(remote, ["frame", "face_bytes"])
    assert all(again.row(n) == here.row(n) for n in range(32))
    assert bucket.faults.seen - before == {"LIST": 1}, "what is in the cache was asked for again"


@pytest.mark.fault("R3")
@pytest.mark.parametrize("fault", ["errors", "truncated", "short"])
def test_what_goes_wrong_in_passing_costs_an_attempt(remote, bucket, fault, caplog):
    setattr(bucket.faults, fault, 2)
    with caplog.at_level(logging.INFO):
        found = read_columns(remote, ["frame", "gaze_cam_cm"])
    assert found.equals(read_columns(bucket.folder / "b/mini", ["frame", "gaze_cam_cm"]))
    assert getattr(bucket.faults, fault) == 0
    assert 1 <= len(caplog.records) <= 2, caplog.text
    assert str(bucket.server_port) not in caplog.text


@pytest.mark.fault("R3")
def test_what_lasts_is_told_in_one_sentence(remote, bucket, tmp_path):
    bucket.faults.errors = 100
    with pytest.raises(
        UserError, match=r"s3://b/mini/[01].parquet can't be reached, after 5 attempts; check the network"
    ):
        read_columns(remote, ["frame"])
    left = bucket.faults.errors
    assert left in range(70, 100, 5), "of up to three requests at once for each of two files, five attempts each"
    bucket.faults.errors, bucket.faults.denied = 0, 1
    with pytest.raises(UserError, match=r"[01].parquet is refused to us: credentials are missing.*AWS_PROFILE"):
        read_columns(remote, ["frame"])
    for path, sentence in (("none/mini", "is in no bucket that exists"), ("b/other", "s3://b/other is not there")):
        with pytest.raises(UserError, match=sentence):
            table_files(place(bucket.uri(path), tmp_path, 1))


@pytest.mark.fault("D12")
def test_a_file_that_was_exchanged_is_not_mixed_with_what_it_was(tmp_path):
    file = tmp_path / "b/table.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({"x": [1]}), file)
    with served(tmp_path) as server:
        remote = place(server.uri("b/table.parquet"), tmp_path / "cache", 1)
        assert [str(path) for path in parquet_files(remote)] == ["s3://b/table.parquet"]
        assert remote.exists()
        assert not remote.is_dir()
        pq.write_table(pa.table({"x": [1, 2, 3]}), file)
        with pytest.raises(UserError, match=r"changed while it was read; start again"):
            pieces.Pieces(remote).read()


def _ask(rows, number, answers):
    answers.put(rows.row(number)["frame"])


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_open_stores_anew(remote, way):
    rows = RowReader(remote, ["frame"])
    assert rows.row(5)["frame"] == 5  # open here already
    if way == "spawn":
        assert pickle.loads(pickle.dumps(rows)).row(30)["frame"] == 6
        return
    rows.files[1].cache.limit = 1  # so that the other process has to ask the store
    context = get_context(way)
    answers = context.SimpleQueue()
    process = context.Process(target=_ask, args=(rows, 30, answers))
    process.start()
    process.join(20)
    code = process.exitcode
    process.kill()
    assert code == 0, "the other process hangs or failed"
    assert answers.get() == 6


def test_the_next_row_groups_are_fetched_while_others_are_used(remote, bucket):
    rows = RowReader(remote, ["face_bytes"])
    rows.row(0)
    rows.turn(done=[0], next=[3])
    rows._fetching.join(20)
    assert not rows._decoded
    before = bucket.faults.seen["GET"]
    rows.row(31)
    assert bucket.faults.seen["GET"] == before


@pytest.mark.fault("D6")
@pytest.mark.parametrize("path", ["../x.jpg", "/etc/passwd", "a/../../x", "s3://other/x", "a\\..\\..\\x", ""])
def test_no_path_leads_out_of_a_remote_table(remote, path):
    with pytest.raises(PathError, match="not below s3://b/mini"):
        remote / path


@pytest.mark.fault("X5")
def test_credentials_in_addresses_are_refused_and_not_repeated(tmp_path):
    for uri in ("s3://me:hunter2@b/x", "s3://b/x?secret_key=hunter2", "gs://b/x?access_token=hunter2"):
        with pytest.raises(UserError, match="holds credentials") as error:
            place(uri, tmp_path)
        assert "hunter2" not in str(error.value)
    with pytest.raises(UserError, match=r"s3://b/x has the options colour; expected some of region"):
        place("s3://b/x?colour=red", tmp_path)
    with pytest.raises(UserError, match=r"s3://b/x is not on this machine; name a folder.*dataset\.cache"):
        place("s3://b/x")


def test_paths_of_this_machine_are_paths(tmp_path):
    assert place(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert place(tmp_path) == tmp_path


def test_google_stores_get_their_options(tmp_path):
    """Composed only: no such server runs here."""
    remote = place("gs://anonymous@bucket/table?endpoint_override=127.0.0.1:9&scheme=http", tmp_path)
    assert isinstance(remote, Remote)
    assert (str(remote), remote.store.root) == ("gs://bucket/table", "bucket/table")
    assert isinstance(remote.store._opened(), pafs.GcsFileSystem)


@pytest.mark.fault("D5")
@pytest.mark.parametrize("rows", ["many", "wide"])
def test_a_remote_file_that_claims_too_much_is_refused(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(parquet_claims, "HARMLESS", 1 << 16)
    (tmp_path / "b").mkdir()
    count = 1 << 17 if rows == "many" else 200
    lists = pa.nulls(count, pa.int8()) if rows == "many" else pa.nulls(count, pa.list_(pa.float16(), 1434))
    pq.write_table(pa.table({"x": lists}), tmp_path / "b/t.parquet", compression="zstd")
    claim = f"it claims {count} rows" if rows == "many" else f"x.list.element claims {count * 1434 * 2} bytes and holds"
    assert claim in parquet_claim(tmp_path / "b/t.parquet")
    with served(tmp_path) as server, pytest.raises(UserError, match=rf"s3://b/t\.parquet is refused: {claim}"):
        open_parquet(place(server.uri("b/t.parquet"), tmp_path / "cache", 1))


def test_a_file_that_is_no_picture_is_not_read_in_one(remote, monkeypatch):
    monkeypatch.setattr(places, "MOST_BYTES", 10)
    with pytest.raises(UserError, match=r"0\.parquet has \d+ bytes; expected a picture of at most 10"):
        (remote / "0.parquet").read_bytes()
