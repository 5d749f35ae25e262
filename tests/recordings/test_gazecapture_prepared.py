import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from gaze.errors import UserError
from gaze.recordings.gazecapture_prepared import GazeCapturePrepared, likely_orientation
from tests.groups import build, node

ROWS = {  # recording, frame, label, grid (from 1), train/val/test
    "labelRecNum": np.array([2, 2, 2, 3523], dtype=np.int16),
    "frameIndex": np.array([0, 7, 9, 12], dtype=np.int32),
    "labelDotXCam": np.array([-0.7, 1.0, 2.0, 9.0]),
    "labelDotYCam": np.array([-5.0, -6.0, np.nan, 1.0]),
    "labelFaceGrid": np.array([(6, 7, 10, 8), (1, 1, 25, 25), (20, 20, 10, 10), (6, 7, 10, 8)], dtype=np.uint8),
    "labelTrain": np.array([True, True, True, False]),
    "labelVal": np.array([False, False, False, False]),
    "labelTest": np.array([False, False, False, True]),
}


def write(root, **changes):
    rows = {key: value for key, value in {**ROWS, **changes}.items() if value is not None}
    savemat(root / "metadata.mat", rows)
    for recording, frame in zip(ROWS["labelRecNum"], ROWS["frameIndex"], strict=True):
        for folder in ("appleFace", "appleLeftEye", "appleRightEye"):
            path = root / f"{recording:05d}" / folder / f"{frame:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(path)


def read(root, name="00002"):
    return list(GazeCapturePrepared(root).read(name))


def test_rows_of_the_metadata(tmp_path):
    write(tmp_path)
    reader = build(node("recording", "gazecapture_prepared"), root=str(tmp_path))
    assert reader.recordings() == ["00002", "03523"]
    first, second, third = reader.read("00002")
    (other,) = reader.read("03523")
    assert first.sample_id == "gazecapture_prepared/00002/00000"
    assert (first.subject, first.split, other.split) == ("00002", "train", "test")
    assert first.gaze_cam_cm == (-0.7, -5.0)
    assert first.left_eye == tmp_path / "00002" / "appleLeftEye" / "00000.jpg"
    assert [first.orientation, other.orientation] == [1, 3]
    assert [s.reject_reason for s in (first, second, third, other)] == [None, None, "label is not finite", None]


def test_the_grid_becomes_the_face_box_counting_from_zero(tmp_path):
    write(tmp_path)
    first, second, third = read(tmp_path)
    assert first.frame_size == (25, 25)
    assert first.face_box == (5, 6, 10, 8)
    assert second.face_box == (0, 0, 25, 25)
    assert third.face_box == (19, 19, 6, 6)  # cut at the frame
    assert first.left_eye_box is None


def test_a_frame_in_another_split_than_its_recording_is_refused(tmp_path):
    train, val = np.array([True, True, False, False]), np.array([False, False, True, False])
    write(tmp_path, labelTrain=train, labelVal=val, labelDotYCam=np.full(4, -3.0))
    samples = read(tmp_path)
    assert [s.split for s in samples] == ["train", "train", "unused"]
    assert samples[2].reject_reason == "frame is in another split than its recording"


def test_a_missing_crop(tmp_path):
    write(tmp_path)
    (tmp_path / "00002" / "appleRightEye" / "00007.jpg").unlink()
    assert [s.reject_reason for s in read(tmp_path)][:2] == [None, "a crop is missing"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labelVal": None}, r"metadata\.mat lacks labelVal"),
        ({"frameIndex": np.array([1, 2])}, r"frameIndex is int64 \(2,\); expected numbers \(4,\)"),
        ({"labelFaceGrid": np.zeros((4, 3))}, r"labelFaceGrid is float64 \(4, 3\); expected numbers \(4, 4\)"),
    ],
)
def test_damaged_metadata_are_refused(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        GazeCapturePrepared(tmp_path).recordings()


def test_missing_metadata_and_unknown_recordings_are_named(tmp_path):
    with pytest.raises(UserError, match=r"metadata\.mat is missing; .* from GazeCapture's pytorch/prepareDataset\.py"):
        GazeCapturePrepared(tmp_path).recordings()
    write(tmp_path)
    with pytest.raises(UserError, match="lists no frame of 00003"):
        read(tmp_path, "00003")


@pytest.mark.parametrize(("point", "orientation"), [((1, -5), 1), ((-1, 5), 2), ((7, -1), 3), ((-7, 1), 4)])
def test_a_screen_is_on_the_label_s_side_of_the_camera(point, orientation):
    assert likely_orientation(*point) == orientation
