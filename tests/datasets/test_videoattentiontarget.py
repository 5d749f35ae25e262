import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gaze.datasets.augment import BoxJitter, Crop, Flip
from gaze.datasets.clips import end_of_gaze, sampled
from gaze.datasets.faults import DatasetError
from gaze.datasets.videoattentiontarget import VideoAttentionTarget
from gaze.datasets.videoattentiontarget_files import smooth
from gaze.types import collate
from tests.datasets.clip_folders import BOX, SIZE, line, preprocess, write_clip, write_frame, write_shows


def open_split(root, split="train", **options) -> VideoAttentionTarget:
    return VideoAttentionTarget(str(root), split, [24, 40], **{"val_fraction": 0.0, "frame_sample_every": 1, **options})


def names(dataset):
    return [dataset.name(i) for i in range(len(dataset))]


def faults(root, split="train", **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_split(root, split, **options)
    return str(caught.value)


# --- The rules, by hand --------------------------------------------------------------------------


def test_boxes_are_averaged_over_eleven_lines_with_repeated_ends():
    # Five repeats on each side of 0, 11, 22: the sums are 99, 121 and 143.
    box = np.array([[0, 0, 1, 5], [11, 0, 1, 5], [22, 0, 1, 5.0]])
    expected = [[9, 0, 1, 5], [11, 0, 1, 5], [13, 0, 1, 5]]
    np.testing.assert_allclose(smooth(box), expected, atol=1e-12)


def test_a_single_line_keeps_its_box():
    np.testing.assert_allclose(smooth(np.array([[3, 4, 5, 6.0]])), [[3, 4, 5, 6]])


def test_a_long_track_is_a_plain_mean_away_from_its_ends():
    box = np.arange(40.0)[:, None] ** 2 * np.ones(4)
    assert smooth(box)[20, 0] == pytest.approx(np.mean(np.arange(15.0, 26.0) ** 2))


@pytest.mark.fault("D8")
@pytest.mark.parametrize(
    ("gaze", "point", "inout"),
    [
        ((50, 30), (50, 30), 1),
        ((-1, -1), (-1, -1), 0),
        ((-7, -2), (-7, -2), 0),
        ((-3, 30), (0, 30), 1),  # exactly one negative: on the border
        ((50, -40), (50, 0), 1),
        ((0, 0), (0, 0), 1),
        ((104, 63), (104, 63), 1),  # beyond the other borders
    ],
)
def test_where_a_gaze_ends(gaze, point, inout):
    points, inside = end_of_gaze(np.array([gaze], dtype=float))
    assert points[0].tolist() == list(point)
    assert inside[0] == inout


@pytest.mark.fault("D8")
def test_a_target_a_little_beyond_the_border_is_on_it_in_training_and_stays_in_test(tmp_path):
    for split in ("train", "test"):
        for i, x in enumerate((50.0, 1.05 * SIZE[1])):
            write_clip(tmp_path, split, f"{split} show {i}/0001", {"s00": [line(0, gaze=(x, 30.0))]})
    found = {s: open_split(tmp_path, s, val_fraction=0.0).labels.points[:, 0, 0] for s in ("train", "test")}
    assert found["train"].tolist() == pytest.approx([50 / SIZE[1], 1.0])
    assert found["test"].tolist() == pytest.approx([50 / SIZE[1], 1.05])
    write_clip(tmp_path, "train", "far/0001", {"s00": [line(0, gaze=(1.2 * SIZE[1], 30.0))]})
    with pytest.raises(DatasetError, match="outside the image but marked inside"):
        open_split(tmp_path, "train", val_fraction=0.0)


def test_frames_are_counted_from_the_first_by_name():
    frames = [f"{i:03d}.jpg" for i in range(20, 33)]
    assert sampled([*frames[::-1], *frames[:4]], 6) == ["020.jpg", "026.jpg", "032.jpg"]
    assert sampled(frames, 1) == frames


# --- Samples ---------------------------------------------------------------------------------------


def test_people_who_come_late_leave_and_return_share_frames(tmp_path):
    here, there = (10.0, 10.0, 30.0, 30.0), (50.0, 20.0, 70.0, 40.0)
    people = {
        "s01": [line(2, there, (-1, -1)), line(3, there, (20, 15))],
        "s00": [line(1, here), line(2, here), line(4, here)],
    }
    write_clip(tmp_path, "train", "Show/0001", people)
    dataset = open_split(tmp_path)
    assert [name[-5] for name in names(dataset)] == ["1", "2", "3", "4"]
    assert [len(dataset[i].inputs.head_bbox) for i in range(4)] == [1, 2, 1, 1]
    both = dataset[1]
    torch.testing.assert_close(both.inputs.head_bbox, torch.tensor([[0.1, 1 / 6, 0.3, 0.5], [0.5, 1 / 3, 0.7, 2 / 3]]))
    assert both.targets.inout.tolist() == [1.0, 0.0]
    assert both.targets.points[0].tolist() == [[0.5, 0.5]]
    assert both.targets.points[1].isnan().all()
    assert both.targets.image_size.tolist() == [list(SIZE)] * 2
    assert dataset[2].targets.points[0].tolist() == [[pytest.approx(0.2), 0.25]]


def test_boxes_are_smoothed_before_frames_are_left_out(tmp_path):
    track = [line(t, (x, 0, 40, 20)) for t, x in enumerate((0, 11, 22))]
    write_clip(tmp_path, "train", "Show/0001", {"s00": track})
    dataset = open_split(tmp_path, frame_sample_every=2)
    assert [dataset[i].inputs.head_bbox[0, 0].item() * 100 for i in range(2)] == pytest.approx([9, 13])


def test_training_and_validation_are_sampled_and_test_is_whole(tmp_path):
    write_shows(tmp_path, "train", shows=2, frames=13)
    write_shows(tmp_path, "test", shows=1, frames=13, prefix="test ")
    assert [n[-6:-4] for n in names(open_split(tmp_path, val_fraction=0.5, frame_sample_every=6))] == ["00", "06", "12"]
    assert len(open_split(tmp_path, "val", val_fraction=0.5, frame_sample_every=6)) == 3
    assert len(open_split(tmp_path, "test", frame_sample_every=6)) == 13
    assert len(open_split(tmp_path, "test", test_sample_every=6)) == 3


def random_tree(root, seed=0):
    random = np.random.default_rng(seed)
    for clip in range(4):
        people = {}
        for person in range(3):
            start, corner = random.integers(0, 5), random.uniform(0, 20, 2)
            frames = [t for t in range(start, 14) if random.random() > 0.2]
            people[f"s{person:02d}"] = [
                line(
                    t,
                    (*corner, *(corner + random.uniform(10, 30, 2))),
                    [(-1, -1), (-1, 20), random.uniform(0, 60, 2)][random.integers(0, 3)],
                )
                for t in frames
            ]
        write_clip(root, "train", f"Show {clip % 3}/{clip:04d}", people)


@pytest.mark.parametrize("prefix", ["images/", ""])
def test_raw_and_preprocessed_annotations_give_the_same_samples(tmp_path, prefix):
    random_tree(tmp_path)
    options = {"frame_sample_every": 3, "val_fraction": 0.4}
    raw = [open_split(tmp_path, split, **options) for split in ("train", "val")]
    preprocess(tmp_path, "train", prefix)
    for before, split in zip(raw, ("train", "val"), strict=True):
        after = open_split(tmp_path, split, **options)
        assert names(before) == names(after)
        assert torch.equal(before.labels.start, after.labels.start)
        torch.testing.assert_close(before.labels.head_bbox, after.labels.head_bbox)
        torch.testing.assert_close(before.labels.points, after.labels.points, equal_nan=True)
        assert torch.equal(before.labels.inout, after.labels.inout)
        assert 0 < before.labels.inout.mean() < 1


def test_two_frames_make_a_batch_with_all_their_people(tmp_path):
    write_clip(tmp_path, "train", "Show/0001", {"s00": [line(1), line(2)], "s01": [line(2, (40, 20, 60, 40))]})
    dataset = open_split(tmp_path, crop=Crop(1.0), augmentations=[Flip(), BoxJitter()])
    batch = collate([dataset.sample(i, torch.Generator().manual_seed(i)) for i in range(2)])
    assert batch.inputs.image.shape == (2, 3, 24, 40)
    assert batch.inputs.image_index.tolist() == [0, 1, 1]
    assert batch.targets.inout.tolist() == [1, 1, 1]
    assert batch.targets.points.shape == (3, 1, 2)


# --- Splits ----------------------------------------------------------------------------------------


@given(shows=st.integers(2, 40), fraction=st.floats(0.01, 0.99))
def test_any_fraction_holds_out_some_shows_and_leaves_some(shows, fraction):
    from gaze.datasets.splits import hold_out

    every = [f"show {i}" for i in range(shows)]
    held = hold_out(every, fraction)
    assert 1 <= len(held) < shows
    assert hold_out(every[::-1], fraction) == held
    assert abs(len(held) - fraction * shows) <= 1


def test_validation_holds_out_whole_shows(tmp_path):
    every = write_shows(tmp_path, "train", shows=6, clips=2)
    write_shows(tmp_path, "test", shows=2, prefix="test ")
    shows = {
        split: {name.split("/")[1] for name in names(open_split(tmp_path, split, val_fraction=0.34))}
        for split in ("train", "val", "test")
    }
    assert shows["train"] | shows["val"] == set(every)
    assert not shows["train"] & shows["val"]
    assert len(shows["val"]) == 2
    assert not shows["test"] & (shows["train"] | shows["val"])


def test_a_val_split_is_taken_if_there_is_one(tmp_path):
    write_shows(tmp_path, "train", shows=3)
    write_shows(tmp_path, "val", shows=1, prefix="val ")
    assert len(open_split(tmp_path, "train", val_fraction=0.5)) == 6
    assert all("val show" in name for name in names(open_split(tmp_path, "val", val_fraction=0.5)))


def test_one_show_cannot_be_held_out(tmp_path):
    write_shows(tmp_path, "train", shows=1)
    assert "none of its 1 show(s) can be held out" in faults(tmp_path, "val", val_fraction=0.5)
    assert len(open_split(tmp_path, "train", val_fraction=0.5)) == 2


@pytest.mark.fault("D10")
def test_a_clip_in_two_splits_is_a_fault_and_a_show_in_two_is_said(tmp_path, caplog):
    write_shows(tmp_path, "train", shows=2, clips=2)
    write_clip(tmp_path, "test", "show 1/0000", {"s00": [line(0)]})
    assert "the clip show 1/0000 is also in the test split" in faults(tmp_path)
    with caplog.at_level(logging.WARNING):
        dataset = open_split(tmp_path, on_corrupt="skip", skip_limit=0.5)
    assert "images/show 1/0000/00000000.png" not in names(dataset)
    assert "1 show(s) of the train split are also in the test split: show 1" in caplog.text


# --- Bad input ---------------------------------------------------------------------------------------


def broken(root):
    """A tree with one good clip, and one fault of each kind in another."""
    write_clip(root, "train", "Show/good", {"s00": [line(t) for t in range(3)]})
    write_clip(root, "train", "Show/bad", {"s00": [line(t) for t in range(9)], "s01": []})
    file = root / "annotations/train/Show/bad/s00.txt"
    lines = file.read_text().splitlines()
    lines[1] += ",7"
    lines[2] = lines[2].replace("50.0", "nan")
    lines[3] = lines[3].replace("00000003.png", "")
    lines[4] = lines[4].replace("00000004.png", "00000000.png")
    lines[5] = lines[5].replace("50.0", "5000.0")
    lines[6] = lines[6].replace("10.0,10.0,30.0,30.0", "ten,10.0,30.0,30.0")
    file.write_text("\n".join(lines))
    (root / "images/Show/bad/00000007.png").unlink()
    (root / "annotations/train/Show/empty").mkdir()
    (root / "annotations/train/Nothing").mkdir()


@pytest.mark.fault("D7")
def test_everything_that_is_wrong_is_reported_at_once_with_file_and_line(tmp_path):
    broken(tmp_path)
    message = faults(tmp_path)
    bad = "annotations/train/Show/bad"
    for expected in (
        f"{bad}/s00.txt:line 2: 8 columns; expected 7 columns (frame, x_min, y_min, x_max, y_max, gaze_x, gaze_y)",
        f"{bad}/s00.txt:line 3: gaze_x is 'nan'; expected",
        f"{bad}/s00.txt:line 4: the frame has no name; expected",
        f"{bad}/s00.txt:line 5: frame '00000000.png' is listed before, in line 1; expected",
        f"{bad}/s00.txt:line 6: gaze (50, 0.5) is outside the image but marked inside",
        f"{bad}/s00.txt:line 7: x_min is 'ten'; expected",
        f"{bad}/s00.txt:line 8: {tmp_path}/images/Show/bad/00000007.png: there is no such file",
        f"{bad}/s01.txt: the file is empty; expected a line per frame",
        "annotations/train/Show/empty: the clip has no person; expected a .txt file per person",
        "annotations/train/Nothing: the show has no clip",
    ):
        assert expected in message, expected
    assert "has 10 faults" in message


def test_skipping_keeps_what_is_good(tmp_path):
    broken(tmp_path)
    dataset = open_split(tmp_path, on_corrupt="skip", skip_limit=0.9)
    assert len(dataset.faults) == 10
    assert names(dataset) == [
        *(f"images/Show/bad/{t:08d}.png" for t in (0, 8)),
        *(f"images/Show/good/{t:08d}.png" for t in range(3)),
    ]


def test_a_clip_without_pictures_is_one_fault(tmp_path):
    write_clip(tmp_path, "train", "Show/0001", {"s00": [line(t) for t in range(30)]})
    write_clip(tmp_path, "train", "Show/0002", {"s00": [line(0)]})
    for file in (tmp_path / "images/Show/0001").iterdir():
        file.unlink()
    message = faults(tmp_path)
    assert "has 1 fault:" in message
    assert "images/Show/0001: none of its 30 frames can be read" in message


def test_a_frame_of_another_size_is_a_fault(tmp_path):
    write_clip(tmp_path, "train", "Show/0001", {"s00": [line(t) for t in range(3)]})
    write_frame(tmp_path / "images/Show/0001/00000002.png", (30, 50))
    assert "images/Show/0001/00000002.png is 50 x 30; expected 100 x 60 pixels" in faults(tmp_path)


@pytest.mark.fault("D6")
def test_a_frame_name_may_not_climb_out_of_the_folder(tmp_path):
    write_clip(tmp_path, "train", "Show/0001", {"s00": [line(0), ("../../secret.png", BOX, (1, 1))]})
    assert "climbs with '..'" in faults(tmp_path)


def test_bytes_that_are_no_text_are_a_fault(tmp_path):
    write_clip(tmp_path, "train", "Show/0001", {"s00": [line(0)], "s01": [line(0)]})
    (tmp_path / "annotations/train/Show/0001/s01.txt").write_bytes(b"\xff\xfe\x00")
    assert "annotations/train/Show/0001/s01.txt: can't be read" in faults(tmp_path)


def test_a_missing_folder_or_split_says_what_to_do(tmp_path):
    assert "layout of VideoAttentionTarget" in faults(tmp_path / "absent")
    write_shows(tmp_path, "train", shows=1)
    expected = r"expected test_preprocessed.json or annotations/test; the folder holds train"
    assert expected in faults(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.clear(), "holds no head that can be used"),
        (lambda s: s[0]["frames"][0].pop("path"), "sequence 1: 'path' is missing"),
        (lambda s: s[0]["frames"][0].update(path="a.jpg"), "sequence 1: path 'a.jpg'; expected frames"),
        (lambda s: s.append(s[0]), "sequence 2: clip 'show 0/0000' is listed before, as sequence 1"),
        (lambda s: s[0].update(width=0), "sequence 1: width 0 and height 60"),
        (lambda s: s[0]["frames"].append(s[0]["frames"][0]), "is listed twice, as frames 1 and 3"),
        (lambda s: s[0]["frames"][1].update(heads=[]), "sequence 1: frame 2 has no heads"),
        (lambda s: s[0]["frames"][1]["heads"][0].pop("bbox"), "sequence 1 frame 2 head 1: 'bbox' is missing"),
        (lambda s: s[0]["frames"][1]["heads"][0].update(gazex=["a"]), "frame 2 head 1: gazex is 'a'"),
        (lambda s: s[0]["frames"][1]["heads"][0].update(bbox=[1, 2, 3]), "frame 2 head 1: bbox has 3 numbers"),
        (
            lambda s: s[0]["frames"][1]["heads"][0].update(inout=4),
            "sequence 1:frame 2: inout is 4; expected 1, 0 or -1",
        ),
    ],
)
def test_faults_of_preprocessed_files_say_where(tmp_path, change, message):
    write_shows(tmp_path, "train", shows=1)
    file = preprocess(tmp_path, "train")
    sequences = json.loads(file.read_text())
    change(sequences)
    file.write_text(json.dumps(sequences))
    assert message in faults(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("{}", "holds a JSON dict")])
def test_a_preprocessed_file_that_is_none(tmp_path, text, message):
    (tmp_path / "train_preprocessed.json").write_text(text)
    assert message in faults(tmp_path)


@pytest.mark.parametrize("every", [0, -1, True])
def test_steps_between_frames_are_whole_numbers(tmp_path, every):
    with pytest.raises(ValueError, match="frame_sample_every is .*; expected a whole number of frames"):
        open_split(tmp_path, frame_sample_every=every)


def test_frames_of_a_clip_belong_together(tmp_path):
    write_shows(tmp_path, "train", shows=1, clips=2, frames=3)
    dataset = open_split(tmp_path)
    assert [dataset.group(i) for i in range(6)] == ["images/show 0/0000"] * 3 + ["images/show 0/0001"] * 3
