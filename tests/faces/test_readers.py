"""Readers of faces: every layout of the same people gives the same directions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gaze.datasets.faults import DatasetError
from gaze.datasets.image import ImageError
from gaze.faces.index import INDEX, UNLABELLED, Faces, numbers, words
from gaze.geometry import vector_to_pitch_yaw
from tests.faces import trees
from tests.faces.opening import opened

PAIRS = {
    "gaze360": (trees.gazehub_gaze360, trees.raw_gaze360),
    "xgaze": (trees.gazehub_xgaze, trees.raw_xgaze),
    "mpiifacegaze": (trees.gazehub_mpii, trees.raw_mpii),
}
RAW = {"gaze360": "gaze360_raw", "xgaze": "xgaze_h5", "mpiifacegaze": "mpii_mat"}


def by_picture(faces):
    """Rows by who is on which picture, with what is known of them."""
    table, faults = faces.index()
    assert not faults
    found = {}
    for i in np.flatnonzero(words(table, "split") != UNLABELLED):
        shown = round((float(faces.picture(table["path"][int(i)].as_py())[0].float().mean()) - 40) / 10)
        found[table["subject"][int(i)].as_py(), shown] = i
    return table, found


@pytest.mark.parametrize("name", PAIRS)
def test_both_layouts_of_a_data_set_give_the_true_directions(name, tmp_path):
    true = trees.directions(6)
    tables = []
    for option, make in zip((name, RAW[name]), PAIRS[name], strict=True):
        faces = opened(option, make(tmp_path / option, true))
        assert isinstance(faces, Faces)
        table, found = by_picture(pickle.loads(pickle.dumps(faces)))
        assert table.schema.names == INDEX.names
        tables.append((numbers(table, "gaze"), table, found))
    (a, first, rows), (b, second, others) = tables
    assert rows.keys() == others.keys()
    assert len(rows) == 6
    for number, key in enumerate(sorted(rows, key=lambda key: (name != "gaze360" and key[0], key[1]))):
        np.testing.assert_allclose(a[rows[key]], true[number], atol=1e-9)
        np.testing.assert_allclose(b[others[key]], true[number], atol=1e-9)
        if name != "mpiifacegaze":  # whose authors' files name neither
            for column in ("subject", "session", "frame"):
                assert first[column][int(rows[key])] == second[column][int(others[key])]


def test_the_documented_row_of_gaze360_has_the_same_angles_both_ways(tmp_path):
    line = "train/Face/1.jpg a b rec_1/head/0/0.jpg 0.4538,0.0578,-0.8892 0.4719,0.0578"
    trees.label(tmp_path / "Label/train.label", "Face Left Right Origin 3DGaze 2DGaze", [line])
    table, _ = opened("gaze360", tmp_path).index()
    import torch

    pitch, yaw = vector_to_pitch_yaw(torch.from_numpy(numbers(table, "gaze")))[0].rad2deg().tolist()
    assert (yaw, pitch) == (pytest.approx(27.04, abs=0.01), pytest.approx(3.31, abs=0.01))
    np.testing.assert_allclose(np.degrees(numbers(table, "angles")[0]), (3.31, 27.04), atol=0.01)


def test_mirrored_samples_lose_the_head_and_scaling_can_be_undone(tmp_path):
    true = trees.directions(4)
    root = trees.gazehub_mpii(tmp_path, true)
    table, _ = opened("mpiifacegaze", root).index()
    head, mirrored = numbers(table, "head"), table["mirrored"].to_numpy(zero_copy_only=False)
    assert mirrored.tolist() == [False, True, False, True]
    assert np.isnan(head[mirrored]).all()
    np.testing.assert_allclose(head[~mirrored], [[-0.1, 0.3]] * 2)  # pitch, yaw of 2DHead's yaw, pitch
    undone = numbers(opened("mpiifacegaze", root, gaze_scaling="undo").index()[0], "gaze")
    expected = true / [1, 1, 1.25]
    np.testing.assert_allclose(undone, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-9)


def test_a_bad_line_is_told_with_file_and_number(tmp_path):
    root = trees.gazehub_gaze360(tmp_path, trees.directions(6))
    file = root / "Label/train.label"
    lines = file.read_text().splitlines()
    lines[1], lines[2] = f"{lines[1]} more", lines[2].replace("3DGaze", "").replace(",", ";")
    file.write_text("\n".join(lines) + "\n\n")
    table, faults = opened("gaze360", root).index()
    assert len(table) == 4
    assert str(faults[0]) == f"{file}:2: 7 fields; expected the header's 6; correct it"
    assert f"{file}:3: " in str(faults[1])
    assert "expected" in str(faults[1])


def test_a_file_that_lost_its_gaze_is_a_fault_and_a_published_test_file_is_none(tmp_path):
    trees.label(tmp_path / "Label/p1.label", "Face 3DGaze", ["p1/1.jpg 0,0,-1"])
    trees.label(tmp_path / "Label/p2.label", "Face 3DGase", ["p2/1.jpg 0,0,-1", "p2/2.jpg 0,0,-1"])
    trees.label(tmp_path / "Label/test.label", "Face", ["p3/1.jpg"])
    table, faults = opened("mpiifacegaze", tmp_path).index()
    assert [fault.where for fault in faults] == [f"{tmp_path}/Label/p2.label:{n}" for n in (2, 3)]
    assert "no column of gaze" in str(faults[0])
    assert table["split"].to_pylist() == ["", UNLABELLED]


def test_columns_are_found_by_name_in_either_spelling(tmp_path, caplog):
    header = "Weather svec RVEC 3dgaze metapath face"
    trees.label(tmp_path / "Label/p1.label", header, ["fair 1,1,1 0,0,0.1 0,0,-1 1_A_DS_S_15 p1/face/1.jpg"])
    table, faults = opened("eyediap", tmp_path).index()
    assert not faults
    assert "Weather" in caplog.text
    assert table.select(["subject", "session", "frame"]).to_pylist() == [
        {"subject": "p1", "session": "1_A_DS_S", "frame": 15}
    ]
    turned = numbers(table, "normalisation").reshape(3, 3)
    np.testing.assert_allclose(turned[0], [np.cos(0.1), -np.sin(0.1), 0], atol=1e-12)


def test_a_header_without_faces_and_folders_without_labels_are_refused(tmp_path):
    trees.label(tmp_path / "Label/p1.label", "Fase 3DGaze", ["a 0,0,-1"])
    with pytest.raises(DatasetError, match=r"p1\.label:1: the header is 'Fase 3DGaze'.*not known: Fase"):
        opened("eyediap", tmp_path).index()
    with pytest.raises(DatasetError, match=r"xgaze_224.* is not a folder; expected one with train"):
        opened("xgaze_h5", tmp_path / "xgaze_224")
    with pytest.raises(DatasetError, match="no file"):
        opened("mpii_mat", tmp_path).index()
    with pytest.raises(DatasetError, match=r"metadata\.mat can't be read"):
        opened("gaze360_raw", tmp_path).index()


@pytest.mark.fault("D1")
def test_damaged_arrays_are_told_by_file(tmp_path):
    root = trees.raw_xgaze(tmp_path, trees.directions(6))
    (root / "train/subject0003.h5").write_bytes(b"nothing")
    faces = opened("xgaze_h5", root)
    table, faults = faces.index()
    assert len(table) == 4
    assert "subject0003.h5: is damaged or no HDF5 file" in str(faults[0])
    with pytest.raises(ImageError, match=r"subject0000\.h5#9"):
        faces.picture("train/subject0000.h5#9")


@pytest.mark.parametrize("name", ["xgaze", "xgaze_h5", "mpii_mat"])
def test_degrees_are_no_radians(name, tmp_path, monkeypatch):
    make = {"xgaze": trees.gazehub_xgaze, "xgaze_h5": trees.raw_xgaze, "mpii_mat": trees.raw_mpii}[name]
    radians = trees.pitch_yaw
    monkeypatch.setattr(trees, "pitch_yaw", lambda gaze: np.degrees(radians(gaze)))
    gaze = np.array([[0, 0, -1.0]] * 5 + [[0, -0.6, -0.8]])
    table, faults = opened(name, make(tmp_path, gaze)).index()
    assert (len(table) - (name == "xgaze"), len(faults)) == (5, 1)  # one is of the test file, which has no labels
    assert "gaze is pitch 36.87, yaw" in str(faults[0])
    assert "expected radians, pitch within pi/2 and yaw within pi; convert degrees" in str(faults[0])
    where = {"xgaze": "train.label:7", "xgaze_h5": "subject0010.h5:1", "mpii_mat": "p01.mat:2"}[name]
    assert faults[0].where.endswith(where)


def test_each_process_opens_arrays_for_itself(tmp_path, monkeypatch):
    faces = opened("xgaze_h5", trees.raw_xgaze(tmp_path, trees.directions(6)))
    pictures = [faces.picture(f"train/subject0000.h5#{row}") for row in (0, 1)]
    opening = faces._files
    before = opening(str(tmp_path / "train/subject0000.h5"))
    assert opening(str(tmp_path / "train/subject0000.h5")) is before
    monkeypatch.setattr("os.getpid", lambda: -2)  # as after a fork
    assert opening(str(tmp_path / "train/subject0000.h5")) is not before
    again = pickle.loads(pickle.dumps(faces))
    assert not again._files._open
    assert (again.picture("train/subject0000.h5#1") == pictures[1]).all()


@pytest.mark.fault("D6")
def test_paths_that_leave_the_folder_are_refused(tmp_path):
    trees.label(tmp_path / "Label/p1.label", "face 3DGaze metapath", [r"p1/..\..\..\x.jpg 0,0,-1 1_A_1"])
    faces = opened("eyediap", tmp_path)
    (path,) = faces.index()[0]["path"].to_pylist()
    with pytest.raises(ImageError, match="climbs"):
        faces.picture(path)
