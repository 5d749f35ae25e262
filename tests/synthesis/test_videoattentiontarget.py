import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from gaze.datasets.videoattentiontarget import VideoAttentionTarget
from gaze.errors import UserError
from gaze.synthesis import workers
from gaze.synthesis.clip_world import ClipWorld
from gaze.synthesis.videoattentiontarget import clip_path, write_clips
from tests.processes import context

COUNTS = {"train": 17, "val": 0, "test": 2}


@pytest.fixture(scope="module")
def world():
    return ClipWorld(size=(48, 64), difficulty=0.3, frames=6, people=(2, 3), outside=0.4)


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "clips"
    assert write_clips(world, folder, COUNTS)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def open_split(root, split, **options):
    options = {"val_fraction": 0.34, "frame_sample_every": 1, **options}
    return VideoAttentionTarget(str(root), split, [48, 64], **options)


def test_the_layout_is_that_of_the_raw_data_set(root):
    assert sorted(p.name for p in root.iterdir()) == ["README.txt", "annotations", "images", "world.json"]
    assert sorted(p.name for p in (root / "annotations").iterdir()) == ["test", "train"]
    clip = root / "annotations/train" / clip_path("train", 16)
    people = sorted(clip.iterdir())
    assert [p.name for p in people] == [f"s{i:02d}.txt" for i in range(len(people))]
    first = people[0].read_text().splitlines()[0].split(",")
    assert first[0] == "00000000.jpg"
    assert len(first) == 7
    assert "SYNTHETIC" in (root / "README.txt").read_text()


def test_the_dataset_reads_what_was_written(root, world):
    images, truth = world.render(0, "test", range(2))
    dataset = open_split(root, "test", check="decode")
    assert dataset.faults == []
    assert len(dataset) == 12
    for i in range(len(dataset)):
        sample = dataset[i]
        people = [label for label in truth if label.scene == i]
        assert dataset.name(i) == f"images/{clip_path('test', i // 6)}/{i % 6:08d}.jpg"
        assert sample.targets.inout.tolist() == [float(p.inside) for p in people]
        for points, person in zip(sample.targets.points, people, strict=True):
            if person.inside:
                torch.testing.assert_close(points[0], torch.tensor(person.gaze), rtol=0, atol=2e-4)
        assert (sample.inputs.image.float() - images[i].float()).abs().mean() < 6  # a JPEG of it


def test_boxes_are_the_written_ones_smoothed(root, world):
    # Eleven frames around any of six: close to the mean, which sways by less than a quarter of a head.
    truth = world.render(0, "test", range(1))[1]
    boxes = {label.scene: label.head_bbox_px for label in truth if label.person == 0}
    dataset = open_split(root, "test")
    for frame, box in boxes.items():
        read = dataset[frame].inputs.head_bbox[0] * torch.tensor([64, 48, 64, 48])
        assert (read - torch.tensor(box)).abs().max() < 0.25 * (box[2] - box[0])


def test_shows_are_held_out_for_validation(root):
    shows = {
        split: {open_.name(i).split("/")[1] for open_ in [open_split(root, split)] for i in range(len(open_))}
        for split in ("train", "val", "test")
    }
    assert [len(shows[split]) for split in ("train", "val", "test")] == [2, 1, 1]
    assert len(set.union(*shows.values())) == 4


def test_people_look_in_and_out(root):
    inout = open_split(root, "train").labels.inout
    assert 0.3 < inout.mean() < 0.9


@pytest.mark.slow
def test_workers_change_no_byte(root, world, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "get_context", lambda _: context())  # it has imported torch already
    write_clips(world, tmp_path / "again", COUNTS, workers=2)
    assert files(tmp_path / "again") == files(root)


def test_a_second_run_has_nothing_to_do_and_another_request_is_refused(root, world):
    before = files(root)
    assert not write_clips(world, root, COUNTS)
    with pytest.raises(UserError, match=r"seed is 0 there, 5 here.*overwrite=true"):
        write_clips(world, root, COUNTS, seed=5)
    assert files(root) == before


def test_overwriting_replaces_the_folder_and_failure_does_not(world, tmp_path, monkeypatch):
    root, one = tmp_path / "clips", {"train": 1}
    write_clips(world, root, one)
    write_clips(world, root, {"train": 2}, overwrite=True)
    assert len(list(root.rglob("*.jpg"))) == 12
    before = files(tmp_path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="can't be written: No space left on device; free space"):
        write_clips(world, root, one, overwrite=True)
    assert files(tmp_path) == before
    monkeypatch.undo()
    shutil.move(root, tmp_path / "clips.old")  # killed between two renames
    assert not write_clips(world, root, {"train": 2})
    assert files(tmp_path) == before


def test_progress_counts_images(world, tmp_path):
    seen = []
    write_clips(world, tmp_path / "clips", {"train": 2}, progress=lambda *now: seen.append(now))
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"train": -1}}, "train is -1"),
        ({"counts": {"train": 0}}, "at least one clip"),
        ({"counts": {"train": 1, "val": 1}}, "val is 1; expected 0.*whole shows of train are held out"),
        ({"counts": {"train": 1}, "workers": -1}, "workers is -1"),
        ({"counts": {"train": 1}, "annotators": 2}, "annotators is 2; expected 1"),
    ],
)
def test_bad_arguments_are_refused(world, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_clips(world, tmp_path / "clips", **options)
    assert list(tmp_path.iterdir()) == []
