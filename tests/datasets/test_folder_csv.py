"""Training straight from a folder and its CSV file."""

from functools import partial

import pytest
import torch
from PIL import Image

from gaze.datasets.faults import DatasetError
from gaze.datasets.folder_csv import FolderCsv
from gaze.datasets.image import ImageError
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_augment import Flip
from gaze.label_units import UNITS
from gaze.recordings.folder_csv import FolderCsv as Recordings
from gaze.recordings.schema import header
from gaze.recordings.writer import ScreenWriter
from gaze.screens.evaluation import training_labels
from gaze.types import collate
from tests.datasets.screen_views import generator
from tests.recordings.own_folders import COLUMNS, broken, strip, write


def data(folder, split="train", reading=None, **changes) -> FolderCsv:
    return FolderCsv(
        Recordings(str(folder), **({"columns": COLUMNS} | (reading or {}))), split, **({"eye_size": 16} | changes)
    )


def test_samples_hold_both_eyes_and_the_label(tmp_path):
    frames = data(strip(tmp_path), hold_out="p03")
    batch = collate([frames[i] for i in range(len(frames))])
    assert batch.inputs.left_eye.shape[1:] == (3, 16, 16)
    assert batch.inputs.face is None
    assert batch.inputs.left_eye.float().mean() > 150 > 100 > batch.inputs.right_eye.float().mean()
    assert batch.targets.point[0].tolist() == pytest.approx([-0.9, 0.9])
    assert batch.targets.screen_cm.isnan().all()
    assert (batch.targets.device == -1).all()


def test_one_person_left_out(tmp_path):
    parts = {split: data(strip(tmp_path), split, hold_out="p03") for split in ("train", "val", "test")}
    people = {split: set(part.labels.subjects) for split, part in parts.items()}
    assert people["test"] == {"p03"}
    assert len(people["val"]) == 1
    assert len(people["train"]) == 2
    assert not people["train"] & people["val"]
    assert sum(map(len, parts.values())) == 24


def test_everybody_trains_where_nobody_is_spared_for_validation(tmp_path):
    parts = {s: data(strip(tmp_path), s, hold_out="p03", val_fraction=None) for s in ("train", "val", "test")}
    people = {split: set(part.labels.subjects) for split, part in parts.items()}
    assert people["train"] == {"p01", "p02", "p04"}
    assert people["test"] == {"p03"}
    assert len(people["val"]) == 1
    assert people["val"] < people["train"]
    two = strip(tmp_path / "two", people=("a", "b"))
    assert data(two, "val", hold_out="b", val_fraction=None).labels.subjects == ["a"]


def test_small_pictures_are_opened_once(tmp_path):
    frames = data(strip(tmp_path), hold_out="p03")
    before = frames[0].inputs.left_eye
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    assert torch.equal(frames[0].inputs.left_eye, before)
    with pytest.raises(ImageError):
        frames[1]


def test_splits_are_drawn_by_person_or_told(tmp_path):
    parts = [data(strip(tmp_path / "a"), split) for split in ("train", "val", "test")]
    people = [set(part.labels.subjects) for part in parts]
    assert set.union(*people) == {"p01", "p02", "p03", "p04"}
    assert sum(map(len, people)) == 4
    told = strip(tmp_path / "b", part=lambda person, _: "test" if person == "p02" else "train")
    assert data(told, "test", {"columns": COLUMNS | {"split": "part"}}).labels.subjects == ["p02"]
    torn = strip(tmp_path / "c", part=lambda person, frame: "test" if frame == 2 else "train")
    with pytest.raises(DatasetError, match="several splits: p01 is in train and test"):
        data(torn, "test", {"columns": COLUMNS | {"split": "part"}})


def test_a_mirrored_strip_is_the_other_halves(tmp_path):
    folder = strip(tmp_path)
    a = data(folder, hold_out="p03", augmentations=[Flip(1.0)]).sample(0, generator())
    b = data(folder, hold_out="p03", reading={"left_eye_half": "left"})[0]
    assert torch.equal(a.inputs.left_eye, b.inputs.left_eye.flip(-1))
    assert a.targets.point[0] == -b.targets.point[0]


@pytest.mark.fault("D7")
def test_malformed_rows(tmp_path):
    folder = broken(strip(tmp_path), 3, "images/0001.png,p01,abc,0.2")
    with pytest.raises(DatasetError, match=r"line 3: gaze_x is 'abc'; expected a finite number(.|\n)*on_corrupt=skip"):
        data(folder, hold_out="p03")
    left = data(folder, hold_out="p03", on_corrupt="skip")
    assert len(left.faults) == 1
    (tmp_path / "index.csv").write_text("image,person,gaze_x,gaze_y\nx,,1,1\n")
    with pytest.raises(DatasetError, match=r"holds no row that can be used\n.*line 2: person is ''"):
        data(folder, on_corrupt="skip")


@pytest.mark.fault("D1")
def test_unreadable_pictures(tmp_path):
    folder = strip(tmp_path)
    frames, plain = data(folder, "test", hold_out="p01", on_corrupt="skip"), data(folder, "test", hold_out="p01")
    (folder / "images/0000.png").write_bytes(b"\x89PNG nothing")  # after they were opened
    assert frames.sample(0, generator()).index == 1
    assert len(frames.faults) == 1
    with pytest.raises(ImageError, match="0000.png"):
        plain[0]
    with pytest.raises(DatasetError, match=r"1 fault:\n  folder/p01/00000: .*0000.png: .*or remove the row"):
        data(folder, "test", hold_out="p01")
    assert len(data(folder, "test", hold_out="p01", on_corrupt="skip", skip_limit=0.2)) == 5


def test_whole_frames_with_boxes_and_crops_in_files(tmp_path):
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "person": p, "gaze_x": 0.5, "gaze_y": -0.5, "x": 4, "y": 5, "w": 10, "h": 12}
        for p in ("a", "b", "c")
    ]
    write(tmp_path, rows)
    boxes = {stream: ["x", "y", "w", "h"] for stream in ("left_eye", "right_eye")}
    frames = data(
        tmp_path,
        "test",
        {"layout": "frame", "boxes": boxes},
        hold_out="c",
        streams=["left_eye", "right_eye", "geometry"],
    )
    expected = torch.tensor([4 / 64, 5 / 48, 10 / 64, 12 / 48] * 2)
    torch.testing.assert_close(frames[0].inputs.geometry[4:], expected)
    assert frames[0].inputs.geometry[:4].isnan().all()
    with pytest.raises(DatasetError, match="face_box or the frame's size is missing"):
        data(tmp_path, "test", {"layout": "frame", "boxes": boxes}, hold_out="c", streams=["face"])
    crops = {"layout": "crops", "columns": COLUMNS | {"face": "image"}}
    assert data(tmp_path, "test", crops, hold_out="c", streams=["face"], face_size=20)[0].inputs.face.shape == (
        3,
        20,
        20,
    )
    with pytest.raises(ImageError, match="has no left_eye; name its column"):
        data(tmp_path, "test", crops, hold_out="c", streams=["left_eye"])[0]


def test_the_folder_and_its_table_give_the_same_samples(tmp_path):
    folder = strip(tmp_path / "own")
    found = Recordings(str(folder), columns=COLUMNS)
    with ScreenWriter(tmp_path / "t.parquet", dataset=found.dataset, boxes=found.boxes) as writer:
        for recording in found.recordings():
            writer.write(found.read(recording))
    straight = data(folder, "test", hold_out="p02")
    table = ScreenDataset(str(tmp_path / "t.parquet"), "test", ["left_eye", "right_eye"], eye_size=16, hold_out="p02")
    assert straight.labels.sample_id == table.labels.sample_id
    assert straight.labels.unit == table.labels.unit == "half_windows"
    for a, b in zip(map(straight.__getitem__, range(6)), map(table.__getitem__, range(6)), strict=True):
        assert torch.equal(a.inputs.left_eye, b.inputs.left_eye)
        assert torch.equal(a.targets.point, b.targets.point)
        assert UNITS[a.targets.unit] == UNITS[b.targets.unit] == "half_windows"
    assert straight.labels.unit == table.labels.unit == "half_windows"
    # The middle of a window of any size is known
    assert torch.equal(straight.labels.centre, torch.zeros(6, 2))
    assert torch.equal(table.labels.centre, torch.zeros(6, 2))


def test_labels_in_cm_and_in_half_windows_are_no_one_data_set(tmp_path):
    for unit, facts in (("cm", {"screen_cm": [20.0, 10.0], "camera_to_screen_cm": [10.0, 1.0]}), ("half_windows", {})):
        found = Recordings(str(strip(tmp_path / unit, people=[unit])), columns=COLUMNS, **facts)
        with ScreenWriter(tmp_path / f"table/{unit}.parquet", dataset="own", boxes="unknown") as writer:
            writer.write(found.read(unit))
        assert header(tmp_path / f"table/{unit}.parquet").label_unit == unit
    with pytest.raises(DatasetError, match="are in cm and half_windows; expected one of cm, half_windows for all"):
        ScreenDataset(str(tmp_path / "table"), "test", ["left_eye"], eye_size=16, hold_out="cm")


def test_baselines_need_somebody_to_learn_from(tmp_path, capsys):
    folder = strip(tmp_path, people=["p03"])
    assert training_labels(partial(data, folder, hold_out="p03")) is None
    assert capsys.readouterr().out.count("baselines are left out") == 1
    with pytest.raises(DatasetError, match="gaze_x is 'abc'"):  # not a reason to go on
        training_labels(partial(data, broken(strip(tmp_path), 3, "images/0001.png,p01,abc,0.2"), hold_out="p03"))
