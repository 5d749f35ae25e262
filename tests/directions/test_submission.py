"""The file for a server that scores predictions: its lines are those of the pictures, in the order that it knows."""

import json
import zipfile

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from gaze.datasets.directions import Directions
from gaze.directions.submission import submit, without_labels
from gaze.errors import UserError
from gaze.faces.xgaze_h5 import XGazeH5
from gaze.geometry import pitch_yaw_to_vector
from gaze.hardware import Hardware
from gaze.types import DirectionPrediction
from tests.directions.some_faces import LabelledFaces

PEOPLE = {"subject0009": 3, "subject0001": 2}  # of the test part with their pictures, in the order of the list


class Brightness(nn.Module):
    """Red is the pitch and green the yaw, in thousandths of a radian."""

    def forward(self, inputs):
        found = (inputs.face.mean((2, 3)) * 255).round()[:, :2] / 1000
        return DirectionPrediction(2 * pitch_yaw_to_vector(found))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "xgaze"
    (folder / "test").mkdir(parents=True)
    for number, (name, count) in enumerate(PEOPLE.items()):
        with h5py.File(folder / f"test/{name}.h5", "w") as file:
            blue_green_red = [(0, 100 + number, 10 * number + n) for n in range(count)]
            file["face_patch"] = np.tile(np.array(blue_green_red, np.uint8)[:, None, None], (1, 4, 4, 1))
            file["face_mat_norm"] = np.tile(np.eye(3), (count, 1, 1))
            file["cam_index"] = file["frame_index"] = np.arange(count)[:, None]
    names = {"train": [], "test": [f"{name}.h5" for name in PEOPLE], "test_person_specific": []}
    (folder / "train_test_split.json").write_text(json.dumps(names))
    return folder


def test_lines_are_pitch_and_yaw_in_the_order_of_the_list_and_of_each_file(root, tmp_path, capsys):
    data = Directions(XGazeH5(str(root), parts=["test"]), "unlabelled", face_size=4, val_subjects=10)
    assert without_labels(data)
    assert not without_labels(LabelledFaces("test"))
    submit(Brightness(), data, tmp_path / "out", Hardware(device="cpu", workers=0), batch_size=2)
    lines = np.loadtxt(tmp_path / "out/within_eva_results.txt", delimiter=",")
    np.testing.assert_allclose(1000 * lines, [(0, 100), (1, 100), (2, 100), (10, 101), (11, 101)], atol=1e-4)
    with zipfile.ZipFile(tmp_path / "out/submission_within_eva.zip") as archive:
        assert archive.namelist() == ["submission_within_eva/within_eva_results.txt"]
        assert archive.read(archive.namelist()[0]) == (tmp_path / "out/within_eva_results.txt").read_bytes()
    assert "5 lines from xgaze/test/subject0009.h5#0 on" in capsys.readouterr().out


def test_a_missing_file_or_direction_moves_no_line(root, tmp_path):
    hardware = Hardware(device="cpu", workers=0)
    data = Directions(XGazeH5(str(root), parts=["test"]), "unlabelled", face_size=4)
    model = Brightness()
    model.forward = lambda inputs: DirectionPrediction(torch.full((len(inputs.face), 3), torch.nan))
    with pytest.raises(UserError, match=r"NaN of 5 pictures, the first xgaze/test/subject0009\.h5#0"):
        submit(model, data, tmp_path / "out", hardware)
    (root / "test/subject0001.h5").write_bytes(b"")
    data = Directions(XGazeH5(str(root), parts=["test"]), "unlabelled", face_size=4, on_corrupt="skip", skip_limit=0.5)
    with pytest.raises(UserError, match=r"1 pictures or files can't be read.*subject0001"):
        submit(Brightness(), data, tmp_path / "out", hardware)
    assert not (tmp_path / "out").exists()
