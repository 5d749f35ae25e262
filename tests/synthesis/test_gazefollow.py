import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from gaze.datasets.gazefollow import GazeFollow
from gaze.errors import UserError
from gaze.synthesis import gazefollow, workers
from gaze.synthesis.gazefollow import image_path, write_gazefollow
from gaze.synthesis.scene_world import SceneWorld
from tests.processes import context

COUNTS = {"train": 40, "val": 9, "test": 12}


@pytest.fixture(scope="module")
def world():
    return SceneWorld(size=(64, 80), difficulty=0.3, outside=0.3)


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "scenes"
    assert write_gazefollow(world, folder, COUNTS, annotators=3)
    return folder


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def lines(root, split):
    return [line.split(",") for line in (root / f"{split}_annotations_release.txt").read_text().splitlines()]


def test_the_dataset_reads_what_was_written(root, world):
    for split in ("train", "val", "test"):
        dataset = GazeFollow(str(root), split, [64, 80], check="decode")
        assert dataset.faults == []
        truth = world.render(0, split, range(COUNTS[split]))[1]
        expected = {label.scene: [] for label in truth}
        for label in truth:
            if split != "test" or label.inside:
                expected[label.scene].append(label)
        for i in range(len(dataset)):
            sample = dataset.sample(i, None)
            people = expected[int(dataset.name(i)[-12:-4])]
            if split == "test":  # the reader goes by eye_x there, as GazeFollow has no number for heads
                people = sorted(people, key=lambda person: person.eye[0])
            assert sample.targets.inout.tolist() == [float(p.inside) for p in people]
            for box, points, person in zip(sample.inputs.head_bbox, sample.targets.points, people, strict=True):
                size = torch.tensor([80, 64, 80, 64.0])
                torch.testing.assert_close(box * size, torch.tensor(person.head_bbox_px), rtol=0, atol=0.02)
                if person.inside:
                    torch.testing.assert_close(points[0], torch.tensor(person.gaze), rtol=0, atol=1e-5)
                else:
                    assert points.isnan().all()


def test_columns_are_those_of_gazefollow(root):
    assert {len(row) for row in lines(root, "train") + lines(root, "val")} == {17}
    assert {len(row) for row in lines(root, "test")} == {16}
    outside = [row for row in lines(root, "train") if row[14] == "0"]
    assert outside
    assert {tuple(row[8:10]) for row in outside} == {("-1", "-1")}
    assert {row[16] for row in outside} == {"outside"}


def test_annotators_of_a_test_head_point_at_the_same_thing(root):
    heads = Counter((row[0], row[6]) for row in lines(root, "test"))
    assert set(heads.values()) == {3}
    assert len({tuple(row[8:10]) for row in lines(root, "test")}) > 2 * len(heads)
    assert all(0 <= float(v) <= 1 for row in lines(root, "test") for v in row[8:10])


@pytest.mark.slow
def test_workers_change_no_byte(root, world, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "get_context", lambda _: context())  # it has imported torch already
    write_gazefollow(world, tmp_path / "again", COUNTS, annotators=3, workers=2)
    assert files(tmp_path / "again") == files(root)


def test_no_image_is_in_two_places(root):
    pictures = [content for name, content in files(root).items() if name.endswith(".jpg")]
    assert len(pictures) == sum(COUNTS.values())
    assert len({hashlib.sha256(p).digest() for p in pictures}) == len(pictures)


def test_images_are_jpegs_of_the_size(root):
    with Image.open(root / image_path("train", 3)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (80, 64), "RGB")


def test_folders_hold_a_thousand_images():
    assert image_path("val", 12_345) == "val/00012/00012345.jpg"


def test_a_second_run_has_nothing_to_do(root, world, monkeypatch):
    monkeypatch.setattr(gazefollow, "_write_splits", None)
    assert not write_gazefollow(world, root, COUNTS, annotators=3)


def test_another_request_is_refused_with_the_difference(root, world):
    before = files(root)
    with pytest.raises(UserError, match=r"seed is 0 there, 5 here.*overwrite=true"):
        write_gazefollow(world, root, COUNTS, seed=5, annotators=3)
    assert files(root) == before


def test_overwriting_replaces_the_folder(world, tmp_path):
    root = tmp_path / "scenes"
    write_gazefollow(world, root, {"train": 3})
    write_gazefollow(world, root, {"train": 2}, overwrite=True)
    assert len(list(root.rglob("*.jpg"))) == 2
    assert json.loads((root / "world.json").read_text())["counts"] == {"train": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["scenes"]


def test_a_folder_of_something_else_is_never_replaced(world, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(UserError, match="was not written by this tool"):
        write_gazefollow(world, tmp_path, COUNTS, overwrite=True)
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


def test_a_failure_leaves_nothing_behind(world, tmp_path):
    def fail(done, total):
        if done:
            raise RuntimeError("the lights went out")

    with pytest.raises(RuntimeError, match="lights"):
        write_gazefollow(world, tmp_path / "scenes", COUNTS, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_up_to_the_total(world, tmp_path):
    seen = []
    write_gazefollow(world, tmp_path / "scenes", {"train": 70}, progress=lambda *now: seen.append(now))
    assert seen[0] == (0, 70)
    assert seen[-1] == (70, 70)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"train": -1}}, "train is -1"),
        ({"counts": {"train": 0}}, "at least one image"),
        ({"counts": {"training": 3}}, "counts names training"),
        ({"counts": {"train": 1}, "workers": -1}, "workers is -1"),
        ({"counts": {"train": 1}, "annotators": 0}, "annotators is 0"),
    ],
)
def test_bad_arguments_are_refused(world, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_gazefollow(world, tmp_path / "scenes", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_sentence(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        write_gazefollow(world, tmp_path / "file" / "scenes", {"train": 1})


def test_a_full_disk_is_a_sentence_and_the_old_folder_stays(world, tmp_path, monkeypatch):
    write_gazefollow(world, tmp_path / "scenes", {"train": 1})
    before = files(tmp_path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="can't be written: No space left on device; free space"):
        write_gazefollow(world, tmp_path / "scenes", {"train": 2}, overwrite=True)
    assert files(tmp_path) == before


def test_a_folder_that_cannot_take_its_place_brings_the_old_one_back(world, tmp_path, monkeypatch):
    write_gazefollow(world, tmp_path / "scenes", {"train": 1})
    before, rename = files(tmp_path), Path.rename

    def refuse(self, target):
        if self.name == "scenes.tmp":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UserError, match="Input/output error"):
        write_gazefollow(world, tmp_path / "scenes", {"train": 2}, overwrite=True)
    assert files(tmp_path) == before


@pytest.mark.parametrize("new_one_there", [False, True])
def test_a_replacement_that_was_killed_between_its_renames_is_settled(world, tmp_path, new_one_there):
    root, counts = tmp_path / "scenes", {"train": 1}
    write_gazefollow(world, root, counts)
    (shutil.copytree if new_one_there else Path.rename)(root, tmp_path / "scenes.old")
    assert not write_gazefollow(world, root, counts)  # the old folder is back, or the new one stays: nothing to do
    assert [file.name for file in tmp_path.iterdir()] == ["scenes"]
