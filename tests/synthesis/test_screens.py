import json
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gaze.devices import load_devices
from gaze.errors import UserError
from gaze.recordings.rows import sample_of
from gaze.recordings.schema import header
from gaze.synthesis import screens
from gaze.synthesis.screen_world import ScreenWorld
from gaze.synthesis.screens import DEVICES, TABLE, write_screens

COUNTS = {"train": 3, "val": 1, "test": 2}


@pytest.fixture(scope="module")
def world():
    return ScreenWorld(face_size=16, eye_size=16, frames={"train": 8, "val": 5, "test": 6}, session=4)


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "screens"
    assert write_screens(world, folder, COUNTS)
    return folder


def rows(root):
    return pq.read_table(root / TABLE).to_pylist()


def test_the_table_says_what_the_world_says(root, world):
    found = [sample_of(row, root) for row in rows(root)]
    numbers = {split: range(COUNTS[split] * world.frames[split]) for split in sorted(COUNTS)}
    truth = [sample for split, indices in numbers.items() for sample in world.render(0, split, indices)]
    assert [s.sample_id for s in found] == [s.sample_id for s in truth]
    for read, made in zip(found, truth, strict=True):
        assert (read.face, read.left_eye, read.right_eye) == (made.face, made.left_eye, made.right_eye)
        for name in ("subject", "split", "valid", "dot_index", "device", "orientation", "is_calib_dot"):
            assert getattr(read, name) == getattr(made, name), name
        assert read.gaze_cam_cm == pytest.approx(made.gaze_cam_cm, abs=1e-4)
        assert read.left_eye_box == pytest.approx(made.left_eye_box, abs=1e-3)
        np.testing.assert_allclose(read.landmarks, made.landmarks, atol=1e-3)
    with Image.open(BytesIO(found[0].face)) as picture:
        assert picture.size == (23, 23)  # 16 and a margin of 3.2 on each side


def test_splits_share_no_person_and_rows_are_sorted(root):
    table = rows(root)
    people = {split: {row["subject"] for row in table if row["split"] == split} for split in COUNTS}
    assert {split: len(own) for split, own in people.items()} == COUNTS
    assert len(set.union(*people.values())) == sum(COUNTS.values())
    order = [(row["subject"], row["recording"], row["frame"]) for row in table]
    assert order == sorted(order)


def test_the_file_says_how_it_was_made(root, world):
    said = header(root / TABLE)
    assert (said.dataset, said.boxes, said.crop["face_size"]) == ("synth_v1", "synthetic", 16)
    assert said.crop["margin"] == world.margin == 0.2
    assert {row["device"] for row in rows(root)} <= set(load_devices(root / DEVICES))
    assert "SYNTHETIC" in (root / "README.txt").read_text()
    assert json.loads((root / "world.json").read_text())["parameters"]["kappa_scale"] == 1.0


@pytest.mark.slow
def test_workers_change_no_byte(root, world, tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "PIECE", 5)
    write_screens(world, tmp_path / "again", COUNTS, workers=2)
    names = {path.name for path in root.iterdir()}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (root / name).read_bytes(), name


def test_a_second_run_has_nothing_to_do_and_another_request_is_refused(root, world, monkeypatch):
    monkeypatch.setattr(screens, "_write_table", None)
    assert not write_screens(world, root, COUNTS)
    with pytest.raises(UserError, match=r"seed is 0 there, 5 here.*overwrite=true"):
        write_screens(world, root, COUNTS, seed=5)


def test_a_failure_leaves_nothing_behind(world, tmp_path):
    def fail(done, total):
        if done:
            raise RuntimeError("the lights went out")

    with pytest.raises(RuntimeError, match="lights"):
        write_screens(world, tmp_path / "screens", COUNTS, progress=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"train": -1}}, "train is -1"),
        ({"counts": {"train": 0}}, "at least one person"),
        ({"counts": {"people": 3}}, "counts names people"),
        ({"counts": {"train": 1}, "workers": -1}, "workers is -1"),
        ({"counts": {"train": 1}, "annotators": 3}, "annotators is 3; expected 1"),
    ],
)
def test_bad_arguments_are_refused(world, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_screens(world, tmp_path / "screens", **options)
    assert list(tmp_path.iterdir()) == []
