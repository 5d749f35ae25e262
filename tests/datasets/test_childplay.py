import pytest
import torch

from gaze.datasets.childplay import ChildPlay
from gaze.datasets.faults import DatasetError
from tests.datasets.clip_folders import SIZE, write_frame

HEADER = "clip,frame,person_id,bbox_x,bbox_y,bbox_width,bbox_height,gaze_class,gaze_x,gaze_y,is_child"


def line(clip, frame, person=1, box=(10, 12, 20, 24), kind="inside_visible", gaze=(50, 15)) -> str:
    if kind != "inside_visible":
        gaze = (-1, -1)
    return ",".join(map(str, (clip, frame, person, *box, kind, *gaze, 1)))


def write(root, split, clip, lines=None, frames=(1,), step=1):
    lines = [line(clip, frame) for frame in frames] if lines is None else lines
    file = root / "annotations" / split / f"{clip}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([HEADER, *lines]) + "\n")
    video, interval = clip.replace("-downsampled", "").rsplit("_", 1)
    for frame in frames:
        number = int(interval.split("-")[0]) + (frame - 1) * step
        write_frame(root / "images" / clip / f"{video}_{number}.jpg")


def open_split(root, split="train", **options) -> ChildPlay:
    return ChildPlay(str(root), split, [24, 40], **{"frame_sample_every": 1, "val_fraction": 0.0, **options})


def names(dataset):
    return [dataset.name(i).removeprefix("images/") for i in range(len(dataset))]


def faults(root, split="train", **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_split(root, split, **options)
    return str(caught.value)


def test_a_frame_is_counted_from_the_start_of_its_clip(tmp_path):
    clip = "1Ab4_LMM-bY_2354-2439"
    write(tmp_path, "train", clip, frames=(1, 7, 10))
    assert names(open_split(tmp_path)) == [f"{clip}/1Ab4_LMM-bY_{n}.jpg" for n in (2354, 2360, 2363)]


@pytest.mark.parametrize("step", [1, 2])
def test_pictures_of_downsampled_clips_are_numbered_in_ones_or_twos(tmp_path, step):
    clip = "abc_100-120-downsampled"
    write(tmp_path, "train", clip, frames=range(1, 12), step=step)
    assert names(open_split(tmp_path))[-1] == f"{clip}/abc_{100 + 10 * step}.jpg"


def test_boxes_points_and_people(tmp_path):
    clip = "abc_1-5"
    lines = [
        line(clip, 2, person=7, box=(40, 30, 20, 15), kind="outside_frame"),
        line(clip, 2, person=3),
        line(clip, 1, person=7, gaze=(100, 60)),
    ]
    write(tmp_path, "train", clip, lines, frames=(1, 2))
    dataset = open_split(tmp_path)
    assert dataset[0].targets.points.tolist() == [[[1.0, 1.0]]]
    both = dataset[1]
    torch.testing.assert_close(both.inputs.head_bbox, torch.tensor([[0.1, 0.2, 0.3, 0.6], [0.4, 0.5, 0.6, 0.75]]))
    assert both.targets.inout.tolist() == [1, 0]
    assert both.targets.points[0].tolist() == [[0.5, 0.25]]
    assert both.targets.points[1].isnan().all()
    assert both.targets.image_size.tolist() == [list(SIZE)] * 2


def test_heads_of_whom_nobody_can_tell_are_left_out(tmp_path):
    clip = "abc_1-9"
    kinds = ("inside_visible", "gaze_shift", "inside_occluded", "inside_uncertain", "eyes_closed", "not_annotated")
    lines = [line(clip, frame, kind=kind) for frame, kind in enumerate(kinds, start=1)]
    lines.append(line(clip, 2, person=2, kind="outside_frame"))
    write(tmp_path, "train", clip, lines, frames=range(1, 7))
    dataset = open_split(tmp_path)
    assert names(dataset) == [f"{clip}/abc_1.jpg", f"{clip}/abc_2.jpg"]
    assert dataset.faults == []
    assert dataset[1].targets.inout.tolist() == [0]


def test_frames_are_sampled_for_training_and_not_for_test(tmp_path):
    for split, clip in (("train", "abc_1-99"), ("test", "xyz_1-99")):
        write(tmp_path, split, clip, frames=range(1, 14))
    assert [n[-6:-4].strip("_") for n in names(open_split(tmp_path, frame_sample_every=6))] == ["1", "13", "7"]
    assert len(open_split(tmp_path, "test", frame_sample_every=6)) == 13


def test_the_authors_validation_split_is_taken_and_else_videos_are_held_out(tmp_path):
    for video in range(4):
        for start in (1, 100):
            write(tmp_path, "train", f"video{video}_{start}-{start + 9}")
    videos = {
        split: {n.split("_")[0] for n in names(open_split(tmp_path, split, val_fraction=0.5))}
        for split in ("train", "val")
    }
    assert len(videos["val"]) == len(videos["train"]) == 2
    assert not videos["val"] & videos["train"]
    write(tmp_path, "val", "other_1-9")
    assert names(open_split(tmp_path, "val", val_fraction=0.5)) == ["other_1-9/other_1.jpg"]
    assert len(open_split(tmp_path, "train", val_fraction=0.5)) == 8


def test_faults_are_reported_together_with_file_and_line(tmp_path):
    clip = "abc_1-20"
    lines = [
        line(clip, 1),
        line(clip, 2, kind="daydreaming"),
        line(clip, 3).replace("inside_visible,50", "inside_visible,nan"),
        line(clip, 4) + ",7",
        line(clip, 1, gaze=(1, 1)),
        line(clip, 5, gaze=(-1, -1)),
        line(clip, 6, box=(10, 12, 0, 24)),
        line(clip, 0),
        line(clip, 9),
        line(clip, 7, box=(10, 12, -5, 24)),
    ]
    write(tmp_path, "train", clip, lines, frames=range(1, 8))
    write(tmp_path, "train", "def_1-9")
    (tmp_path / "annotations/train/ghi_1-9.csv").write_text("clip,frame\nghi_1-9,1\n")
    (tmp_path / "annotations/train/jkl_1-9.csv").write_text(HEADER + "\n")
    (tmp_path / "annotations/train/nonsense.csv").write_text(f"{HEADER}\n{line('nonsense', 1)}\n")
    (tmp_path / "images/def_1-9/def_1.jpg").unlink()
    message = faults(tmp_path)
    file = f"annotations/train/{clip}.csv"
    for expected in (
        f"{file}:line 3: gaze_class is 'daydreaming'",
        f"{file}:line 4: gaze_x is 'nan'",
        f"{file}:line 5: the line has more or fewer columns than the header",
        f"{file}:line 6: person 1 in frame 1 is in line 2 already",
        f"{file}:line 7: gaze (-0.01, -0.0166667) is outside the image but marked inside",
        f"{file}:line 8: head box (10, 12, 10, 36) has no area",
        f"{file}:line 9: frame is 0",
        f"{file}:line 10: {tmp_path}/images/{clip}/abc_9.jpg: there is no such file",
        f"{file}:line 11: bbox_width is -5 and bbox_height 24, which cannot be negative",
        "images/def_1-9: none of its 1 frames can be read",
        "annotations/train/ghi_1-9.csv: column bbox_x, bbox_y, bbox_width",
        "annotations/train/jkl_1-9.csv: the file has no line",
        "annotations/train/nonsense.csv: the clip is called 'nonsense'",
    ):
        assert expected in message, expected
    assert "has 13 faults" in message


def test_a_clip_in_two_splits_is_a_fault(tmp_path):
    for split in ("train", "test"):
        write(tmp_path, split, "abc_1-9")
    assert "annotations/train/abc_1-9.csv: is also in annotations/test" in faults(tmp_path)
