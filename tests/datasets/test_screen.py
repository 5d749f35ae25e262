"""Tables as data sets: samples, splits, faults, weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gaze.datasets.faults import DatasetError
from gaze.datasets.image import ImageError
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_augment import Flip, Roll, UpsideDown
from gaze.datasets.screen_augment_boxes import BoxJitter
from gaze.datasets.screen_mixing import CutMix
from gaze.errors import UserError
from gaze.landmarks.points import DEFAULT
from gaze.loading import BatchPlan
from gaze.recordings.crops import Frame, Pictures, with_pictures
from gaze.recordings.writer import ScreenWriter
from gaze.types import collate
from tests.datasets.screen_views import generator, png, table
from tests.groups import build, node
from tests.recordings.miniature import jpeg, sample

SMALL = {"face_size": 24, "eye_size": 16}


def ramp(height: int, width: int) -> torch.Tensor:
    """A picture whose colours say where in it they are."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x * 255 // width, y * 255 // height, torch.zeros_like(x)]).to(torch.uint8)


def test_samples_hold_what_the_table_says(tmp_path):
    data = ScreenDataset(str(table(tmp_path)), "train", **SMALL)
    assert len(data) == 8
    assert data.name(0) == "mini/anna-1/00000"
    assert data.group(7) == "ben"
    batch = collate([data[i] for i in range(8)])
    assert batch.inputs.face.shape == (8, 3, 24, 24)
    assert batch.inputs.left_eye.shape == (8, 3, 16, 16)
    assert batch.inputs.face.dtype == torch.uint8
    assert batch.inputs.landmarks is None
    assert batch.inputs.imu is None
    torch.testing.assert_close(batch.inputs.geometry, data.labels.geometry)
    expected = torch.tensor([100 / 480, 150.5 / 640, 250 / 480, 250 / 640])
    torch.testing.assert_close(batch.inputs.geometry[0, :4], expected)
    torch.testing.assert_close(batch.targets.point, data.labels.point)
    assert batch.targets.screen_cm[0].tolist() == pytest.approx([5.85, 10.405])
    assert batch.targets.centre[0].tolist() == pytest.approx([5.85 / 2 - 1.861, -0.803 - 10.405 / 2], abs=1e-5)
    assert batch.targets.fixation.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert data.labels.subjects == ["anna", "ben"]
    assert data.labels.devices == ["iPhone 6"]


def test_every_stream_that_is_asked_for(tmp_path):
    streams = ["left_eye", "landmarks", "imu", "orientation", "person"]
    file = str(table(tmp_path, imu=lambda person, frame: None if frame == 1 else np.arange(9, dtype=np.float32)))
    train, val = (ScreenDataset(file, split, streams=streams, **SMALL) for split in ("train", "val"))
    inputs = collate([train[i] for i in range(8)]).inputs
    assert inputs.face is None
    assert inputs.geometry is None
    assert inputs.landmarks.shape == (8, len(DEFAULT), 2)
    assert (inputs.landmarks == 0.25).all()
    assert inputs.imu_valid.tolist() == [1, 0, 1, 1, 1, 1, 1, 0]
    assert (inputs.imu[1] == 0).all()
    assert inputs.person.tolist() == [0] * 6 + [1] * 2
    assert inputs.orientation.tolist() == [1] * 8
    assert val[0].inputs.person == -1  # nobody who was learnt


@pytest.mark.parametrize(
    ("augmentation", "person"), [(Flip(1.0), -1), (UpsideDown(1.0), -1), (CutMix("cmixup", 1.0), -1), (Roll(5, 1.0), 0)]
)
def test_a_mirrored_turned_or_blended_view_is_of_nobody(tmp_path, augmentation, person):
    streams = ["left_eye", "right_eye", "person"]
    data = ScreenDataset(str(table(tmp_path)), "train", streams=streams, augmentations=[augmentation], **SMALL)
    assert data.sample(0, torch.Generator().manual_seed(0)).inputs.person == person


def test_crops_from_the_frame_are_where_the_boxes_are(tmp_path):
    frame = png(ramp(64, 48))
    boxes = {
        "face_box": (8.0, 8.0, 32.0, 32.0),
        "left_eye_box": (28.0, 12.0, 8.0, 8.0),
        "right_eye_box": (10.0, 12.0, 8.0, 8.0),
    }
    file = str(table(tmp_path, picture=frame, frame_size=(48, 64), **boxes))
    data = ScreenDataset(file, "train", cut="frame", face_size=32, eye_size=8)
    sample = data[0]
    assert torch.equal(sample.inputs.face, ramp(64, 48)[:, 8:40, 8:40])
    assert torch.equal(sample.inputs.left_eye, ramp(64, 48)[:, 12:20, 28:36])


def test_a_stored_margin_is_cut_away_and_there_for_jitter(tmp_path):
    wide = png(ramp(64, 48)[:, 4:28, 20:44])  # 24 px: 8 of the box and a margin of as much on each side
    boxes = {
        "face_box": (8.0, 8.0, 32.0, 32.0),
        "left_eye_box": (28.0, 12.0, 8.0, 8.0),
        "right_eye_box": (12.0, 12.0, 8.0, 8.0),
    }
    file = str(table(tmp_path, crop={"margin": 1.0}, left_eye=wide, frame_size=(48, 64), **boxes))
    plain = ScreenDataset(file, "train", streams=["left_eye", "geometry"], eye_size=8)
    assert torch.equal(plain[0].inputs.left_eye, ramp(64, 48)[:, 12:20, 28:36])
    jittered = ScreenDataset(
        file, "train", streams=["left_eye", "geometry"], eye_size=8, augmentations=[BoxJitter(0, 0.4)]
    )
    sample = jittered.sample(0, generator(1))
    x, y = sample.inputs.geometry[4] * 48, sample.inputs.geometry[5] * 64
    shown = sample.inputs.left_eye[:2].float().mean((1, 2)) / 255
    assert shown.tolist() == pytest.approx([(x + 3.5).item() / 48, (y + 3.5).item() / 64], abs=0.01)


def test_crops_without_boxes_are_used_as_they_are(tmp_path):
    lost = {"face_box": None, "left_eye_box": None, "right_eye_box": None}
    data = ScreenDataset(str(table(tmp_path, **lost)), "train", **SMALL, augmentations=[BoxJitter(), Flip(1.0)])
    assert data[0].inputs.geometry.isnan().all()
    assert data.sample(0, generator()).inputs.face.shape == (3, 24, 24)


def test_only_valid_frames_and_those_that_are_asked_for(tmp_path):
    def device(person, frame):
        return "iPad Air" if person == "ben" else "iPhone 6"

    anywhere = {"screen_cm": None, "gaze_screen_cm": None}  # the label is one of no screen in particular
    held = {"orientation": lambda _, frame: 1 + frame % 2}
    file = str(table(tmp_path, valid=lambda _, frame: frame != 3, device=device, **held, **anywhere))
    assert len(ScreenDataset(file, "train", **SMALL)) == 7
    assert ScreenDataset(file, "train", where={"device": "iPad Air"}, **SMALL).labels.subjects == ["ben"]
    assert ScreenDataset(file, "train", where={"orientation": [2]}, **SMALL).labels.orientation.unique().tolist() == [2]
    with pytest.raises(UserError, match="no column colour"):
        ScreenDataset(file, "train", where={"colour": "red"}, **SMALL)


def test_leaving_one_person_or_device_out(tmp_path):
    people = {"anna": 3, "ben": 3, "cleo": 3, "dan": 3, "eve": 3}

    def device(person, frame):
        return "iPad Air" if person == "ben" or (person == "eve" and frame) else "iPhone 6"

    file = str(table(tmp_path, people, device=device, split="train"))
    parts = {
        split: ScreenDataset(file, split, hold_out={"subject": "cleo"}, val_fraction=0.25, **SMALL)
        for split in ("train", "val", "test")
    }
    assert parts["test"].labels.subjects == ["cleo"]
    assert len(parts["val"].labels.subjects) == 1
    assert len(parts["train"].labels.subjects) == 3
    assert not set(parts["train"].labels.subjects) & set(parts["val"].labels.subjects)
    same = ScreenDataset(file, "test", hold_out="cleo", **SMALL)
    assert same.labels.sample_id == parts["test"].labels.sample_id
    device_parts = {
        split: ScreenDataset(file, split, hold_out={"device": "iPad Air", "subject": None}, **SMALL)
        for split in ("train", "val", "test")
    }
    assert device_parts["test"].labels.subjects == ["ben", "eve"]
    others = [*device_parts["train"].labels.subjects, *device_parts["val"].labels.subjects]
    assert sorted(others) == ["anna", "cleo", "dan"]  # eve, who has both, is in none of them
    with pytest.raises(DatasetError, match=r"no subject 'zoe'; it has anna, ben"):
        ScreenDataset(file, "test", hold_out="zoe", **SMALL)
    with pytest.raises(ValueError, match="expected the name of a subject"):
        ScreenDataset(file, "test", hold_out={"frame": "1"}, **SMALL)


def test_who_has_both_devices_is_where_the_table_says(tmp_path):
    def device(person, frame):
        return "iPad Air" if frame % 2 else "iPhone 6"

    people = {"anna": 4, "ben": 4, "cleo": 4, "dan": 4}
    file = str(table(tmp_path, people, device=device, split=lambda person, _: "test" if person == "dan" else "train"))
    parts = {
        split: ScreenDataset(file, split, hold_out={"device": "iPad Air"}, val_fraction=0.3, **SMALL)
        for split in ("train", "val", "test")
    }
    assert parts["test"].labels.subjects == ["dan"]
    assert sorted([*parts["train"].labels.subjects, *parts["val"].labels.subjects]) == ["anna", "ben", "cleo"]
    devices = {split: part.labels.devices for split, part in parts.items()}
    assert devices == {"train": ["iPhone 6"], "val": ["iPhone 6"], "test": ["iPad Air"]}
    assert sum(map(len, parts.values())) == 8


@pytest.mark.parametrize("held", ["cleo", {"device": "iPad Air"}])
def test_unused_frames_are_in_no_protocol_and_those_for_calibration_in_none_but_theirs(tmp_path, held):
    people = {"anna": 4, "ben": 4, "cleo": 4, "dan": 4}
    split = ["unused", "calib", "train", "train"].__getitem__
    file = str(
        table(
            tmp_path,
            people,
            split=lambda _, frame: split(frame),
            device=lambda person, _: "iPad Air" if person == "cleo" else "iPhone 6",
        )
    )
    parts = {
        name: ScreenDataset(file, name, hold_out=held, val_fraction=0.3, **SMALL).labels
        for name in ("train", "val", "test", "calib")
    }
    frames = {name: {(i[5:9].rstrip("-"), int(i[-5:])) for i in labels.sample_id} for name, labels in parts.items()}
    assert frames["test"] == {("cleo", 2), ("cleo", 3)}
    assert {frame for name in ("train", "val") for _, frame in frames[name]} == {2, 3}
    assert frames["calib"] == {(person, 1) for person in people}
    assert sum(map(len, frames.values())) == 12


def test_people_are_held_out_where_there_is_no_val(tmp_path):
    file = str(table(tmp_path, {"anna": 3, "ben": 3, "dan": 2}))
    train, val = (ScreenDataset(file, split, **SMALL) for split in ("train", "val"))
    assert {*train.labels.subjects, *val.labels.subjects} == {"anna", "ben"}
    assert len(val.labels.subjects) == 1


@pytest.mark.fault("D10")
def test_a_person_in_two_splits(tmp_path):
    file = str(table(tmp_path, split=lambda person, frame: "test" if (person, frame) == ("anna", 2) else "train"))
    with pytest.raises(DatasetError, match="anna is in train and test; expected each person in one"):
        ScreenDataset(file, "train", **SMALL)
    assert ScreenDataset(file, "test", hold_out="anna", **SMALL).labels.subjects == ["anna"]


@pytest.mark.fault("D7")
def test_labels_that_are_none(tmp_path):
    points = {"gaze_cam_cm": lambda _, frame: None if frame == 1 else (1.0, -2.0), "gaze_screen_cm": None}
    file = str(table(tmp_path, **points))
    with pytest.raises(
        DatasetError, match=r"2 faults(.|\n)*anna-1/00001: gaze_cam_cm is \(nan, nan\)(.|\n)*on_corrupt=skip"
    ):
        ScreenDataset(file, "train", **SMALL)
    data = ScreenDataset(file, "train", on_corrupt="skip", skip_limit=0.3, **SMALL)
    assert len(data) == 6
    assert len(data.faults) == 2
    with pytest.raises(DatasetError, match="more than skip_limit=0.1 of its 8 frames"):
        ScreenDataset(file, "train", on_corrupt="skip", **SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orientation": 5}, "orientation is 5; expected 1 to 4"),
        ({"screen_cm": (0.0, 10.0)}, "its screen is 0 x 10 cm; expected a width and a height above 0"),
        ({"left_eye": None}, "there is no left_eye; expected readable pictures"),
        ({"left_eye_box": (100.0, 200.0, 60.0, 60.0)}, "eyes swapped: .* of the right eye's; left is the person's own"),
        ({"face_box": (5000.0, 0.0, 60.0, 60.0)}, "box: a box is .* not near the frame; boxes are"),
        ({"gaze_cam_cm": (3.0, 40.0), "gaze_screen_cm": None}, "label out of range: .* 1 cm off the screen; check the"),
    ],
)
def test_other_faults_of_rows(tmp_path, changes, message):
    with pytest.raises(DatasetError, match=message):
        ScreenDataset(str(table(tmp_path, **changes)), "train", **SMALL)


@pytest.mark.parametrize(("unit", "per_cm"), [("mm", 10.0), ("inches", 1 / 2.54), ("m", 0.01)])
def test_labels_in_another_unit_are_refused_with_its_name(tmp_path, unit, per_cm):
    draws = np.random.default_rng(0).uniform((-1.8, -11.1), (3.9, -0.9), (24, 2)) * per_cm
    points = {"gaze_cam_cm": lambda _, frame: tuple(draws[frame].tolist()), "gaze_screen_cm": None}
    file = str(table(tmp_path, {"anna": 24}, **points))
    seem = f"the labels of the recording seem to be {unit}, not cm; (divide|multiply) by"
    with pytest.raises(DatasetError, match=rf"24 faults(.|\n)*mini/anna-1/00000, .* and 21 more: {seem}"):
        ScreenDataset(file, "train", **SMALL)


def test_frames_without_a_box_to_cut(tmp_path):
    file = str(table(tmp_path, picture=jpeg(0, (64, 48)), right_eye_box=None))
    with pytest.raises(DatasetError, match="right_eye_box or the frame's size is missing"):
        ScreenDataset(file, "train", cut="frame", **SMALL)


def test_a_missing_picture_among_others(tmp_path):
    file = str(table(tmp_path, face=lambda person, frame: None if (person, frame) == ("ben", 1) else jpeg(frame)))
    with pytest.raises(DatasetError, match="ben-1/00001: there is no face"):
        ScreenDataset(file, "train", **SMALL)
    assert len(ScreenDataset(file, "train", streams=["left_eye"], **SMALL)) == 8
    with pytest.raises(ImageError, match=r"has no face; .*cut=frame"):
        ScreenDataset(file, "train", check="labels", **SMALL)[7]


def test_paths_instead_of_bytes(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(3))
    file = str(table(tmp_path, face=tmp_path / "a.jpg"))
    data = ScreenDataset(file, "train", face_size=24, eye_size=16)
    assert data[0].inputs.face.shape == (3, 24, 24)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DatasetError, match="a.jpg is not there"):
        ScreenDataset(file, "train", **SMALL)


@pytest.mark.fault("D1")
def test_unreadable_bytes(tmp_path):
    file = str(table(tmp_path, face=lambda person, frame: b"\xff\xd8nothing" if frame == 1 else jpeg(frame)))
    with pytest.raises(DatasetError, match=r"anna-1/00001: face of mini/anna-1/00001 in .*parquet: .*damaged"):
        ScreenDataset(file, "train", check="decode", **SMALL)
    skipping = ScreenDataset(file, "train", on_corrupt="skip", **SMALL)
    with pytest.raises(ImageError):
        skipping[1]  # in evaluation a substitute would be counted twice
    assert skipping.sample(1, generator()).index == 2
    assert [fault.where for fault in skipping.faults] == ["mini/anna-1/00001"]
    with pytest.raises(ImageError):
        ScreenDataset(file, "train", **SMALL).sample(1, generator())


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(UserError, match="not there"):
        ScreenDataset(str(tmp_path / "none.parquet"), "train")
    with pytest.raises(DatasetError, match="split 'calib' of .* holds no frame; the table has test, train, val"):
        ScreenDataset(str(table(tmp_path)), "calib", **SMALL)
    with pytest.raises(DatasetError, match="no valid frame among its 13; .* reject_reason says"):
        ScreenDataset(str(table(tmp_path, valid=False)), "train", **SMALL)
    with pytest.raises(DatasetError, match="no valid frame of {'device': 'iPad'} among its 13"):
        ScreenDataset(str(table(tmp_path)), "train", where={"device": "iPad"}, **SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"streams": ["nose"]}, "'nose'; expected some of face"),
        ({"cut": "both"}, "cut is 'both'"),
        ({"check": "all"}, "check is 'all'"),
        ({"on_corrupt": "ignore"}, "on_corrupt is 'ignore'"),
        ({"face_size": [8, 8, 8]}, "face_size"),
        ({"balance": -1.0}, "balance is -1"),
        ({"streams": ["landmarks"], "landmarks": [33]}, "lacks the partner 263"),
        ({"streams": ["landmarks"], "landmarks": [500]}, "from 0 to 477"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        ScreenDataset(str(table(tmp_path)), "train", **settings)


def test_balance_makes_people_equally_frequent(tmp_path, caplog):
    file = str(table(tmp_path, {"anna": 6, "ben": 2, "cleo": 1}))
    plain = ScreenDataset(file, "train", **SMALL)
    assert sorted(plain.order(generator()).tolist()) == list(range(8))
    with caplog.at_level("INFO"):
        data = ScreenDataset(file, "train", balance=1.0, **SMALL)
    assert "2 people, sampled as if they were 2.0 of equal share" in caplog.text
    orders = torch.cat([data.order(generator(seed)) for seed in range(400)])
    assert (data.labels.subject[orders] == 1).float().mean().item() == pytest.approx(0.5, abs=0.03)
    half = ScreenDataset(file, "train", balance=0.5, **SMALL)
    orders = torch.cat([half.order(generator(seed)) for seed in range(400)])
    expected = math.sqrt(2) / (math.sqrt(6) + math.sqrt(2))
    assert (data.labels.subject[orders] == 1).float().mean().item() == pytest.approx(expected, abs=0.03)
    assert torch.equal(data.order(generator(3)), data.order(generator(3)))


def test_weights_of_frames_count(tmp_path):
    data = ScreenDataset(str(table(tmp_path, weight=lambda _, frame: 0.0 if frame == 0 else 1.0)), "train", **SMALL)
    orders = torch.cat([data.order(generator(seed)) for seed in range(50)])
    assert {0, 6}.isdisjoint(orders.tolist())
    assert len(orders.unique()) == 6


def test_a_weighted_plan_resumes_and_divides_among_replicas(tmp_path):
    data = ScreenDataset(str(table(tmp_path)), "train", balance=1.0, **SMALL)
    whole = list(BatchPlan(8, 4, seed=1, order=data.order))
    later = BatchPlan(8, 4, seed=1, order=data.order)
    later.start = 1
    assert list(later) == whole[1:]
    parts = [list(BatchPlan(8, 2, seed=1, rank=rank, replicas=2, order=data.order)) for rank in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_orders_keep_to_a_few_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("gaze.recordings.writer.ROW_GROUP", 2)
    data = ScreenDataset(str(table(tmp_path, {"anna": 40})), "train", **SMALL)
    order = data.order(generator())
    assert sorted(order.tolist()) == list(range(40))
    assert [len(set((lot // 2).tolist())) for lot in order.split([14, 14, 12])] == [7, 7, 6]


def test_the_permutation_of_a_view_travels_to_workers(tmp_path):
    loader = torch.utils.data.DataLoader(
        ScreenDataset(str(table(tmp_path)), "train", **SMALL), 4, num_workers=1, collate_fn=collate
    )
    assert [len(batch.index) for batch in loader] == [4, 4]
    assert replace(next(iter(loader)).inputs).face.shape == (4, 3, 24, 24)


def square(pictures: Pictures):
    """A smooth whole frame with boxes that are no squares, as preparation stores it."""
    coarse = torch.rand(1, 3, 20, 15, generator=generator(1))
    frame = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic")[0].clamp(0, 1)
    eyes = {"left_eye_box": (66.0, 60.0, 24.0, 20.0), "right_eye_box": (34.0, 62.0, 24.0, 20.0)}
    bare = {"face": None, "left_eye": None, "right_eye": None}
    whole = png((255 * frame).to(torch.uint8))
    found = sample(picture=whole, frame_size=(120, 160), face_box=(30.0, 40.0, 60.0, 78.0), **eyes, **bare)
    return with_pictures(found, Frame(found.picture), pictures)


def test_the_usual_jitter_of_stored_crops_shows_what_the_frame_shows(tmp_path):
    """Crops that preparation cuts have room for what conf/dataset/pog_parquet.yaml does to boxes by default."""
    usual = [build(change) for change in node("dataset", "pog_parquet").augmentations[:3]]
    assert [type(change).__name__ for change in usual] == ["BoxJitter", "ScaleJitter", "Roll"]
    usual[2].probability = 1.0
    usually = Pictures().margin

    def shown(images, margin, cut):
        pictures = Pictures(images=images, face_size=96, eye_size=48, margin=margin).of(finished=False)
        file = tmp_path / f"{images}{margin}.parquet"
        with ScreenWriter(file, dataset="mini", boxes="made up", crop=pictures.facts()) as writer:
            writer.write([square(pictures)])
        data = ScreenDataset(str(file), "train", face_size=48, eye_size=24, cut=cut, augmentations=usual)
        return [data.sample(0, generator(seed)).inputs for seed in range(8)]

    how = (("frame", usually, "frame"), ("crops", usually, "stored"), ("crops", 0.0, "stored"))
    whole, stored, bare = (shown(*one) for one in how)
    for stream in ("face", "left_eye", "right_eye"):
        expected, found, smeared = (
            torch.stack([getattr(inputs, stream).float() for inputs in some]) for some in (whole, stored, bare)
        )
        assert (found - expected).abs().max() < 14  # interpolated once more, and JPEG
        assert (smeared - expected).abs().max() > 40
    assert all(torch.equal(a.geometry, b.geometry) for a, b in zip(whole, stored, strict=True))
