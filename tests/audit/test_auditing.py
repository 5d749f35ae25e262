"""Folders of label files and data sets are audited and drawn."""

import json

import pytest
import torch
from PIL import Image

from gaze.audit.auditing import audit
from gaze.audit.reference import on_faces
from gaze.audit.sources import open_folder, open_set
from gaze.audit.verdicts import DOUBT, FITS, UNKNOWN, WRONG
from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.errors import UserError
from gaze.gaze_frames import CAMERA, GAZE360, PITCH_YAW
from gaze.hardware import Hardware
from gaze.types import Batch, DirectionInputs, DirectionTargets
from tests.audit.faces import SIDE, face, people, predict, write

LAPTOP = "Face Origin WhichEye 3DGaze 2DGaze 2DHead Smat"
G360 = "Face Origin 3DGaze 2DGaze"
STATUS = {"rows", "lengths", "units", "vectors against angles", "sides", "heads", "medians"}


def test_a_folder_that_is_right_and_a_model_that_agrees(tmp_path):
    (source,) = open_folder(write(tmp_path, LAPTOP))
    found = audit(source, predict, faces=4, batch_size=16)
    assert (found.name, found.samples, found.contradicted) == ("mpiifacegaze", 60, False)
    assert {v.check: v.status for v in found.verdicts} == dict.fromkeys(
        STATUS | {"axes against the run", "mirrored pictures"}, FITS
    )
    assert source.name(0) == "p00/face/1.png"
    assert found.picture.shape[0] == 3
    blue = (found.picture.float() - torch.tensor([86.0, 180, 233])[:, None, None]).abs().amax(0) < 30
    assert blue.any()
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["checks"][0]["status"] == FITS


def test_faces_of_several_sizes_need_one_for_a_model(tmp_path):
    folder = write(tmp_path, G360, vector=GAZE360)
    Image.new("RGB", (40, 40)).save(folder / "Image" / "p00" / "face" / "2.png")
    with pytest.raises(UserError, match="32 x 32 and 40 x 40 px.*give size_px"):
        audit(open_folder(folder)[0], predict, faces=0)
    (source,) = open_folder(folder, size_px=16)
    assert source.face(1).shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("header", "written", "kind", "options", "wrong"),
    [
        (G360, {"vector": GAZE360}, "gaze360", {}, set()),
        (G360, {"vector": CAMERA}, "gaze360", {}, {"vectors against angles", "axes against the run"}),
        (G360, {"vector": CAMERA}, "gaze360", {"vector": "camera"}, set()),
        (LAPTOP, {"angles": PITCH_YAW}, "mpiifacegaze", {}, {"vectors against angles"}),
        ("Face 2DGaze 2DHead", {"angles": PITCH_YAW, "head": PITCH_YAW}, "xgaze", {"kind": "xgaze"}, set()),
        ("Face 2DGaze 2DHead", {}, "xgaze", {"kind": "xgaze"}, {"axes against the run"}),
    ],
)
def test_what_is_wrong_with_a_folder(tmp_path, header, written, kind, options, wrong):
    (source,) = open_folder(write(tmp_path, header, **written), **options)
    found = audit(source, predict, faces=0)
    assert found.name == kind
    assert {v.check for v in found.verdicts if v.status == WRONG} == wrong, [str(v) for v in found.verdicts]


def test_heads_of_mirrored_samples_are_not_used(tmp_path):
    folder = write(tmp_path, LAPTOP, pictures=False)
    labels = folder / "Label" / "p00.label"
    labels.write_text(labels.read_text().replace(" left ", " right "))
    (source,) = open_folder(folder)
    found = audit(source, predict)  # which asks for pictures, and there are none
    assert {v.check for v in found.verdicts if v.status in (UNKNOWN, DOUBT)} == {"heads", "pictures"}
    assert found.picture is None
    with pytest.raises(UserError, match="unpack the images"):
        source.face(0)


def test_rows_that_can_not_be_read_contradict(tmp_path):
    folder = write(tmp_path, LAPTOP, pictures=False)
    labels = folder / "Label" / "p00.label"
    labels.write_text(labels.read_text().replace(" left ", " left more ", 1))
    (folder / "Label" / "p01.label").write_text("Face 3DGase\na.png 0,0,-1\n")
    (source,) = open_folder(folder)
    (wrong,) = (v for v in audit(source, faces=0).verdicts if v.status == WRONG)
    assert wrong.found.startswith(f"2 can't be read: {labels}:2: 8 fields; expected the header's 7")
    assert "p01.label:2: no column of gaze" in wrong.found


def test_folders_that_hold_nothing_to_audit(tmp_path):
    (tmp_path / "p00.label").write_text("Face Origin\na.jpg 1\n")
    with pytest.raises(UserError, match="has a column of gaze"):
        open_folder(tmp_path)
    with pytest.raises(ValueError, match="expected one of mpiifacegaze, eyediap"):
        open_folder(write(tmp_path / "b", G360, pictures=False), kind="gazehub")


class Clips(Dataset):
    """Samples as data sets of directions give them."""

    def __init__(self):
        gaze, head = people()
        none = torch.zeros(60, dtype=torch.long)
        self.labels = DirectionLabels(
            gaze.float(), head.float(), none, ("a/1",), none, ("a",), none - 1, none - 1, none == 0
        )

    def __len__(self):
        return 60

    def sample(self, index, generator):
        seen = face(self.labels.gaze[index])
        inputs = DirectionInputs(torch.stack([seen * 0, seen, seen * 0]))
        return Batch(inputs, DirectionTargets(self.labels.gaze[index]), torch.tensor(index))


class Spot(torch.nn.Module):
    """A model as runs hold them."""

    def forward(self, inputs):
        return predict((255 * inputs.face).round())


def test_the_model_of_a_run_is_given_faces_as_in_training():
    faces = torch.stack([face(one) for one in people()[0]])
    found = on_faces(Spot(), Hardware(device="cpu", workers=0))(faces)
    torch.testing.assert_close(found.gaze, predict(faces).gaze.float())


def test_a_data_set_of_clips(tmp_path):
    (source,) = open_set(Clips())
    found = audit(source, lambda clips: predict(clips[:, 1]), faces=2)
    assert not found.contradicted
    assert found.picture is not None
    assert source.name(3) == "sample 3"
    assert source.face(0).shape == (3, 3, SIDE, SIDE)
    with pytest.raises(UserError, match="no directions of gaze"):
        open_set(Dataset())
