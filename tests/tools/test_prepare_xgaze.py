"""The command makes a folder that training reads from published archives, and is wary of what it unpacks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gaze.datasets.head_views import HeadViews
from gaze.errors import UserError
from gaze.head_views.preparation import prepare
from tests.head_views.files import Person, write
from tests.processes import run_command

TOOL = Path(__file__).parents[2] / "tools" / "prepare_xgaze.py"


def archive(path, names, folder="data", seed=0):
    """A zip of files with these names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, name in enumerate(names):
            file = write(path.parent / "aside" / name, Person(seed + number))
            zipped.write(file, f"{folder}/{name}")
            file.unlink()
    return path


def cut(path, parts=3):
    """The archive in parts called .aa, .ab, ..."""
    data = path.read_bytes()
    size = -(-len(data) // parts)
    for number in range(parts):
        part = path.with_name(f"{path.name}.a{chr(ord('a') + number)}")
        part.write_bytes(data[number * size : (number + 1) * size])
    path.unlink()


@pytest.fixture
def source(tmp_path):
    """As published: training data in parts, the test set and another data set in archives of their own."""
    cut(archive(tmp_path / "raw/xgaze_train.zip", ["xgaze_subject0000.h5", "xgaze_subject0002.h5"]))
    archive(tmp_path / "raw/xgaze_test.zip", ["subject0012.h5", "subject0022.h5"], seed=2)
    archive(tmp_path / "raw/ColumbiaGaze.zip", ["subject0001.h5"], seed=5)
    return tmp_path / "raw"


def test_archives_become_a_data_set_and_a_second_time_nothing_is_done(source, tmp_path):
    out = tmp_path / "data"
    steps = []
    report = prepare(source, out, progress=lambda done, total: steps.append((done, total)))
    assert not report.findings
    assert report.unpacked == 4
    assert steps[-1][0] == steps[-1][1]
    told = "\n".join(report.sentences())
    assert "1 files of ColumbiaGaze are left in the archives" in told
    assert "4 people, 16 views" in told
    assert "pictures of 16 px; latent codes of D = 251 numbers; L3 = 68 landmarks; V = 200 vertices" in told
    assert "train 2 people; val 0 people; test 2 people" in told
    train, test = HeadViews(str(out), "train", erode=0), HeadViews(str(out), "test", erode=0)
    assert (train.subjects, test.subjects) == (("subject0000", "subject0002"), ("subject0012", "subject0022"))
    np.testing.assert_allclose(train.labels.pose[:4], Person(0).pose, atol=1e-6)
    pairs = test.pairs().tolist()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")}
    again = prepare(source, out, val_people=1)  # other lists of its own
    assert again.unpacked == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.h5")} == before
    assert HeadViews(str(out), "val", erode=0).subjects == ("subject0002",)
    assert HeadViews(str(out), "test", erode=0).pairs().tolist() == pairs
    assert not list(out.rglob("*.part"))


def test_what_was_killed_goes_on_and_what_is_another_s_stays(source, tmp_path):
    out = tmp_path / "data"
    prepare(source, out)
    (out / "xgaze_subject0002.h5").unlink()
    (out / ".xgaze_subject0002.h5.part").write_bytes(b"half")
    assert prepare(source, out).unpacked == 1
    (out / "xgaze_subject0000.h5").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"xgaze_subject0000\.h5 is there and is not .*overwrite=true"):
        prepare(source, out)
    assert prepare(source, out, overwrite=True).unpacked == 1
    (out / "train_test_split.json").write_text(json.dumps({"train": ["xgaze_subject0000.h5"]}))
    with pytest.raises(UserError, match=r"train_test_split\.json was not written here"):
        prepare(source, out)


def test_evaluation_sets_are_only_tested_on_and_published_pairs_are_kept(source, tmp_path):
    (tmp_path / "pairs.txt").write_text("3\n2\n")
    out = tmp_path / "columbia"
    report = prepare(source, out, "columbia", pairs=str(tmp_path / "pairs.txt"))
    assert report.people == {"train": [], "val": [], "test": ["subject0001"]}
    assert HeadViews(str(out), "test", kind="columbia").pairs().tolist() == [[0, 3], [1, 2]]
    (tmp_path / "pairs.txt").write_text("2\n3\n")
    with pytest.raises(UserError, match=r"test\.txt is another list than .*pairs\.txt"):
        prepare(source, out, "columbia", pairs=str(tmp_path / "pairs.txt"))


def test_files_that_are_not_of_the_layout_are_told_and_on_no_list(tmp_path):
    out = tmp_path / "data"
    write(out / "xgaze_subject0000.h5", Person(0))
    write(out / "xgaze_subject0001.h5", Person(1), inmat=None)
    write(out / "xgaze_subject0002.h5", Person(2, codes=300))
    write(out / "xgaze_subject0003.h5", Person(3), pose=np.full((4, 6), np.nan))
    report = prepare(None, out)
    assert report.people["train"] == ["subject0000", "subject0003"]
    told = "\n".join(report.sentences())
    assert "subject0001.h5 lacks inmat" in told
    assert "subject0002.h5 has 16 px, D = 300" in told
    assert "subject0003.h5#0" in told
    assert report.findings == 6


def test_parts_must_be_complete(tmp_path):
    path = archive(tmp_path / "raw/train.zip", ["subject0000.h5"])
    cut(path)
    last = tmp_path / "raw/train.zip.ac"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(UserError, match=r"train\.zip\.aa can't be unpacked .* its last part here is train\.zip\.ab"):
        prepare(tmp_path / "raw", tmp_path / "data")
    last.write_bytes(kept)
    (tmp_path / "raw/train.zip.ab").unlink()
    with pytest.raises(UserError, match="parts are missing: the one after aa"):
        prepare(tmp_path / "raw", tmp_path / "data")
    (tmp_path / "raw/train.zip.aa").unlink()
    with pytest.raises(UserError, match="parts are missing: the first"):
        prepare(tmp_path / "raw", tmp_path / "data")
    with pytest.raises(UserError, match="holds no archive"):
        prepare(last.parents[1] / "data", tmp_path / "data")
    with pytest.raises(UserError, match="is not there"):
        prepare(tmp_path / "nothing", tmp_path / "data")


@pytest.mark.fault("D6")
def test_archives_can_not_write_elsewhere_nor_fill_the_disk(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "data"
    raw.mkdir()
    with zipfile.ZipFile(raw / "a.zip", "w") as zipped:
        zipped.writestr("../../subject0000.h5", b"climbs")
    with pytest.raises(UserError, match="is no file name to unpack"):
        prepare(raw, out)
    with zipfile.ZipFile(raw / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("subject0000.h5", bytes(3_000_000))
    with pytest.raises(UserError, match="unpacks to 0.003 GB, .* times its packed size; .*most_ratio"):
        prepare(raw, out)
    with zipfile.ZipFile(raw / "a.zip", "w") as zipped:
        zipped.writestr("notes.txt", b"no data")
        link = zipfile.ZipInfo("subject0001.h5")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="holds no file of ETH-XGaze that can be used"):
        prepare(raw, out)
    archive(raw / "a.zip", ["subject0000.h5"])
    data = bytearray((raw / "a.zip").read_bytes())
    data[len(data) // 2] ^= 255
    (raw / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"subject0000\.h5 is damaged"):
        prepare(raw, out)
    assert not list(out.rglob("*.h5"))


def test_the_command_reports_and_says_what_is_next(source, tmp_path):
    done = run_command(tmp_path, TOOL, "source=raw", "out=data")
    assert done.returncode == 0, done.stderr
    assert "D = 251" in done.stdout
    assert "data: choose it with dataset.root=data" in done.stdout
    assert json.loads((tmp_path / "data/train_test_split.json").read_text())["test"] == [
        "xgaze_subject0012.h5",
        "xgaze_subject0022.h5",
    ]
