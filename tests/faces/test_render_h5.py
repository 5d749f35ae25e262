"""Heads of render files as faces with 3D gaze."""

from __future__ import annotations

import numpy as np
import pytest

from gaze.datasets.directions import Directions
from gaze.datasets.faults import DatasetError, EmptySplitError
from gaze.faces.index import Faces, numbers, words
from gaze.geometry import vector_to_pitch_yaw
from tests.faces.opening import opened
from tests.head_views.files import FLIP, Person, heads, listed, write


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return listed(heads(tmp_path_factory.mktemp("heads") / "data", people=4), train=[0, 1], val=[2], test=[3])


def gaze_of(person):
    """In the camera frame, by the formulas that go with the files."""
    p, y = person.gaze.T
    in_head = np.stack([-np.cos(p) * np.sin(y), np.sin(p), -np.cos(p) * np.cos(y)], 1)
    return np.einsum("nij,nj->ni", FLIP @ person.rotation @ FLIP, in_head)


def test_rows_are_people_of_all_splits_with_gaze_in_the_camera_frame(root):
    faces = opened("heads", root)
    assert isinstance(faces, Faces)
    table, faults = faces.index()
    assert not faults
    assert words(table, "split").tolist() == ["train"] * 8 + ["val"] * 4 + ["test"] * 4
    true = np.concatenate([gaze_of(Person(number)) for number in range(4)])
    np.testing.assert_allclose(numbers(table, "gaze"), true, atol=1e-6)
    ahead = np.concatenate([Person(number).arrays()["face_head_pose"] for number in range(4)])
    np.testing.assert_allclose(numbers(table, "head"), ahead, atol=1e-6)
    assert table["session"][5].as_py() == "subject0001/cam1"


def test_the_head_can_stand_in_for_the_gaze(root):
    import torch

    table, _ = opened("heads", root, predict="head").index()
    angles = vector_to_pitch_yaw(torch.from_numpy(numbers(table, "gaze")))
    np.testing.assert_allclose(angles, numbers(table, "head"), atol=1e-6)


def test_pictures_are_white_around_the_head_or_as_they_are(root):
    person, path = Person(1), "subject0001.h5#2"
    rgb, mask = person.bgr[2][..., ::-1], person.head[2] > 0
    np.testing.assert_array_equal(opened("heads", root, white=False).picture(path).permute(1, 2, 0), rgb)
    shown = opened("heads", root).picture(path).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(shown, np.where(mask[..., None], rgb, 255))


def test_two_models_can_learn_from_different_people(root):
    first = Directions(opened("heads", root, subjects=[0]), "train", face_size=16)
    second = Directions(opened("heads", root, subjects=["subject0001"]), "train", face_size=16)
    assert [first.labels.subjects, second.labels.subjects] == [("heads/subject0000",), ("heads/subject0001",)]
    assert first[0].inputs.face.shape == (3, 16, 16)
    val = Directions(opened("heads", root, subjects=[0]), "val", face_size=16)
    assert val.labels.subjects == ("heads/subject0002",)


def test_what_was_made_for_tests_is_not_trained_on(tmp_path):
    root = tmp_path / "xgaze"
    for number in (0, 12):
        write(root / f"xgaze_subject{number:04d}.h5", Person(number))
    with pytest.raises(DatasetError, match="training on the test set is refused"):
        opened("heads", listed(root, train=[0, 12])).index()
    columbia = write(tmp_path / "other" / "columbia_subject0001.h5", Person(1)).parent
    faces = opened("heads", columbia, kind="columbia")
    assert len(Directions(faces, "test", face_size=16)) == 4
    with pytest.raises(EmptySplitError, match="the data has test"):
        Directions(faces, "train", face_size=16)


def test_views_without_a_head_and_bad_labels_are_left_out_and_told(tmp_path, caplog):
    person = Person(0)
    person.head[1] = 0
    person.gaze[2] = 1.5
    write(tmp_path / "subject0000.h5", person)
    table, faults = opened("heads", listed(tmp_path, train=[0])).index()
    assert table["row"].to_pylist() == [0, 3]
    assert "2 of 4 views are left out" in caplog.text
    assert "#2: pitchyaw_head is (1.5, 1.5) rad" in str(faults[0])


@pytest.mark.parametrize("change", [{"predict": "eyes"}, {"kind": "gaze"}, {"erode": -1}])
def test_wrong_options_are_told(root, change):
    with pytest.raises(Exception, match=f"face.{next(iter(change))} is"):
        opened("heads", root, **change)
