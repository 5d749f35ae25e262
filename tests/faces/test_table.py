"""The project's own layout keeps what a reader says, and its report names what is wrong."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from gaze.datasets.faults import DatasetError
from gaze.datasets.image import ImageError
from gaze.errors import UserError
from gaze.faces import table as layout
from gaze.faces.index import numbers
from gaze.faces.preparation import prepare
from gaze.faces.table import FaceTable
from tests.faces import trees
from tests.faces.opening import opened

TRUE = trees.directions(6)


@pytest.mark.parametrize(("name", "make"), [("gaze360", trees.gazehub_gaze360), ("mpii_mat", trees.raw_mpii)])
def test_a_table_says_what_the_reader_said(name, make, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "GROUP", 2)  # more than one row group, and more than one file below
    faces = opened(name, make(tmp_path / "raw", TRUE))
    report = prepare(faces, tmp_path / "table", encode="png")
    assert report["rows"] == 6
    assert not report["severe"]
    table = pickle.loads(pickle.dumps(FaceTable(str(tmp_path / "table"))))
    assert (table.name, table.normalised, table.clusters()) == (faces.name, faces.normalised, [])
    (before, _), (after, faults) = faces.index(), table.index()
    assert not faults
    for column in ("gaze", "head", "angles", "normalisation"):
        np.testing.assert_allclose(numbers(after, column), numbers(before, column), atol=1e-12)
    for column in ("subject", "session", "frame", "split", "mirrored", "detected"):
        assert after[column].to_pylist() == before[column].to_pylist()
    for a, b in zip(after["path"].to_pylist(), before["path"].to_pylist(), strict=True):
        assert torch.equal(table.picture(a), faces.picture(b))
        assert faces.stored(b) in (None, table.stored(a))
    prepare(table, tmp_path / "again")
    assert FaceTable(str(tmp_path / "again")).index()[0]["source"].to_pylist() == before["path"].to_pylist()
    with pytest.raises(ImageError, match="part-00000"):
        table.picture("part-00000.parquet#99")


def test_attributes_and_clusters_and_other_sizes_are_kept(tmp_path):
    root = trees.gazehub_eyediap(tmp_path / "raw", trees.directions(8), clusters=True)
    trees.write(root / "attributes.csv", "face,light\np1/face/0.jpg,dim\n")
    prepare(opened("eyediap", root), tmp_path / "table", face_size=8)
    table = FaceTable(str(tmp_path / "table"))
    assert table.clusters() == [["p1", "p3"], ["p10", "p2"]]
    index, _ = table.index()
    assert sorted(filter(None, index["attribute.light"].to_pylist())) == ["dim"]
    assert table.picture(index["path"][0].as_py()).shape == (3, 8, 8)


def test_the_report_names_what_is_wrong(tmp_path):
    root = trees.gazehub_gaze360(tmp_path / "raw", TRUE)
    lines = (root / "Label/train.label").read_text().splitlines()
    lines[1] = lines[1].replace(trees.numbers(TRUE[0] * [-1, -1, 1]), trees.numbers(TRUE[1] * [-1, -1, 1.02]))
    lines[2] += "more fields"
    (root / "Label/train.label").write_text("\n".join(lines))
    (root / "Image/train/Face/3.jpg").unlink()
    picture = root / "Image/test/Face/5.jpg"
    picture.write_bytes((root / "Image/train/Face/1.jpg").read_bytes())
    report = prepare(
        opened("gaze360", root), None, expected_px=(224, 224), counts={"gaze360": {"train": 84902, "val": 1}}
    )
    said = "\n".join(report["severe"])
    assert "2 rows can't be used" in said
    assert "train.label:3: 8 fields" in said
    assert "Face/3.jpg" in said
    assert "are one picture in two splits" in said
    assert "the two labels of 1 rows differ by up to" in said
    assert "train.label:2" in said
    assert "train has 1 usable rows; published are 84,902" in report["notes"]
    assert "1 gaze vectors were" in "\n".join(report["notes"])
    assert "4 pictures are not 224 x 224 px" in report["notes"]
    with pytest.raises(UserError, match="not written: 2 rows can't be used"):
        prepare(opened("gaze360", root), tmp_path / "table", on_corrupt="raise")
    assert not (tmp_path / "table").exists()


def test_other_folders_are_neither_overwritten_nor_read(tmp_path):
    faces = opened("gaze360", trees.gazehub_gaze360(tmp_path / "raw", TRUE))
    with pytest.raises(UserError, match="holds something else"):
        prepare(faces, tmp_path / "raw")
    prepare(faces, tmp_path / "table")
    with pytest.raises(UserError, match="overwrite=true"):
        prepare(faces, tmp_path / "table")
    assert json.loads((tmp_path / "table/report.json").read_text())["subjects"] == 3
    prepare(faces, tmp_path / "table", overwrite=True)
    (tmp_path / "table/part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"part-00000\.parquet can't be read"):
        FaceTable(str(tmp_path / "table"))
    with pytest.raises(DatasetError, match=r"no \*\.parquet"):
        FaceTable(str(tmp_path / "raw"))
