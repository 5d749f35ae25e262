import json
import logging
import pickle

import numpy as np
import pytest
import torch

from gaze.datasets.faults import DatasetError
from gaze.datasets.goo_real import GOOReal
from tests.datasets.clip_folders import write_frame

IMAGES = "finalrealdatasetImgsV2"
SIZE = (54, 96)  # height, width of the pictures; coordinates are of 640 x 480


def record(number: int = 0, session: int = 0, gaze=(320, 120)) -> dict:
    """A picture as the authors describe it: the last box is the head's."""
    return {
        "filename": f"{session}\\cam1\\cam00001_img{number:05d}.jpg",
        "width": SIZE[1],
        "height": SIZE[0],
        "ann": {
            "bboxes": np.array([[300, 100, 340, 140], [64, 48, 128, 144.0]]),
            "labels": np.array([17, -1]),
            "bboxes_ignore": None,
        },
        "gaze_item": 17,
        "gazeIdx": 0,
        "gaze_cx": gaze[0],
        "gaze_cy": gaze[1],
        "hx": 96,
        "hy": 90,
        "seg": np.zeros((0, 2)),
        "occluded": False,
    }


def write(root, name, records, as_json=False):
    for entry in records:
        write_frame(root / IMAGES / str(entry["filename"]).replace("\\", "/"), SIZE)
    if as_json:
        text = json.dumps(records, default=lambda array: array.tolist())
        (root / f"{name}.json").write_text(text)
    else:
        (root / f"{name}.pickle").write_bytes(pickle.dumps(records))


def open_split(root, split="train", **options) -> GOOReal:
    return GOOReal(str(root), split, [24, 40], **options)


def faults(root, split="train", **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_split(root, split, **options)
    return str(caught.value)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("name", ["testrealhumans", "testrealhumansNew"])
def test_coordinates_are_those_of_640_by_480(tmp_path, name, as_json):
    write(tmp_path, name, [record(5, session=8)], as_json)
    dataset = open_split(tmp_path, "test")
    assert dataset.name(0) == f"{IMAGES}/8/cam1/cam00001_img00005.jpg"
    sample = dataset[0]
    torch.testing.assert_close(sample.inputs.head_bbox, torch.tensor([[0.1, 0.1, 0.2, 0.3]]))
    assert sample.targets.points.tolist() == [[[0.5, 0.25]]]
    assert sample.targets.inout.tolist() == [1]
    assert sample.targets.image_size.tolist() == [list(SIZE)]


def test_the_scale_of_coordinates_can_be_another(tmp_path):
    write(tmp_path, "testrealhumans", [record()])
    dataset = open_split(tmp_path, "test", label_size=[960, 1280])
    assert dataset[0].targets.points.tolist() == [[[0.25, 0.125]]]
    assert "is outside the image but marked inside" in faults(tmp_path, "test", label_size=[54, 96])


def test_the_authors_validation_file_is_taken(tmp_path):
    for name, session in (("oneshotrealhumans", 0), ("valrealhumans", 1)):
        write(tmp_path, name, [record(i, session) for i in range(3)])
    assert len(open_split(tmp_path, val_fraction=0.5)) == 3
    assert open_split(tmp_path, "val").name(0).startswith(f"{IMAGES}/1/")


def test_without_it_whole_sessions_are_held_out(tmp_path):
    write(tmp_path, "oneshotrealhumans", [record(i, session) for session in range(5) for i in range(2)])
    sessions = {}
    for split in ("train", "val"):
        dataset = open_split(tmp_path, split, val_fraction=0.4)
        sessions[split] = {dataset.name(i).split("/")[1] for i in range(len(dataset))}
    assert not sessions["train"] & sessions["val"]
    assert sessions["train"] | sessions["val"] == set("01234")
    assert len(sessions["val"]) == 2


@pytest.mark.fault("D10")
def test_a_picture_in_two_splits_is_a_fault_and_a_session_in_two_is_said(tmp_path, caplog):
    write(tmp_path, "oneshotrealhumans", [record(1), record(2)])
    write(tmp_path, "testrealhumans", [record(2), record(3)])
    assert f"{IMAGES}/0/cam1/cam00001_img00002.jpg is also in testrealhumans.pickle" in faults(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert len(open_split(tmp_path, on_corrupt="skip", skip_limit=0.5, val_fraction=0.0)) == 1
    assert "1 session(s) of the train split are also in testrealhumans.pickle: 0" in caplog.text


@pytest.mark.fault("D7")
def test_all_faults_are_reported_with_their_record(tmp_path):
    records = [record(i) for i in range(7)]
    del records[1]["ann"]["bboxes"]
    records[2]["gaze_cx"] = float("nan")
    records[3]["ann"]["bboxes"] = np.zeros((2, 3))
    records[4]["width"] = 0
    records[5]["gaze_cx"] = 700
    write(tmp_path, "oneshotrealhumans", records)
    (tmp_path / IMAGES / "0/cam1/cam00001_img00006.jpg").unlink()
    message = faults(tmp_path)
    for number, text in (
        (2, "'bboxes' is missing"),
        (3, "gaze_cx is 'nan'"),
        (4, "head box has 3 numbers"),
        (5, "width 0 and height 54"),
        (7, "there is no such file"),
    ):
        assert f"oneshotrealhumans.pickle:record {number}: " in message
        assert text in message
    assert "record 6: gaze (1.09375, 0.25) is outside the image but marked inside" in message
    assert "has 6 faults" in message


@pytest.mark.fault("X1")
def test_a_pickle_with_a_program_in_it_is_not_opened(tmp_path):
    (tmp_path / "oneshotrealhumans.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "oneshotrealhumans.pickle asks for os.system; expected plain data" in faults(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"nonsense", "is not a readable pickle"), (pickle.dumps({}), "a dict")]
)
def test_a_file_that_is_no_list_of_pictures(tmp_path, content, message):
    (tmp_path / "oneshotrealhumans.pickle").write_bytes(content)
    assert message in faults(tmp_path)


def test_a_missing_split_says_what_was_expected(tmp_path):
    write(tmp_path, "oneshotrealhumans", [record()])
    assert "expected testrealhumansNew.pickle or testrealhumans.pickle; the folder holds train" in faults(
        tmp_path, "test"
    )
