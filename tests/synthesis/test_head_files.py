import json
import pickle
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gaze.errors import UserError
from gaze.head_views.layout import SPLIT_FILE, XGAZE_TEST
from gaze.signatures import problems
from gaze.synthesis import head_files
from gaze.synthesis.head_files import pairs_of, write_heads
from gaze.synthesis.head_labels import h5_arrays
from gaze.synthesis.head_world import HeadWorld

COUNTS = {"train": 2, "val": 0, "test": 1}


@pytest.fixture(scope="module")
def world():
    return HeadWorld(size=32, frames=dict.fromkeys(("train", "val", "test"), 4))


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "heads"
    seen = []
    assert write_heads(world, folder, COUNTS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 12), (4, 12), (8, 12), (12, 12)]
    return folder


def test_there_is_a_file_for_each_person_and_one_that_names_the_splits(root):
    assert sorted(p.name for p in root.iterdir()) == [
        "README.txt",
        "pairs",
        SPLIT_FILE,
        "world.json",
        "xgaze_subject0001.h5",
        "xgaze_subject0002.h5",
        "xgaze_subject0003.h5",
    ]
    assert json.loads((root / SPLIT_FILE).read_text()) == {
        "train": ["xgaze_subject0001.h5", "xgaze_subject0002.h5"],
        "val": [],
        "test": ["xgaze_subject0003.h5"],
    }
    assert "SYNTHETIC" in (root / "README.txt").read_text()


def test_files_hold_one_sample_in_each_chunk(root, world):
    shots = world.shots(0, "train", 1, range(4))
    expected = h5_arrays(shots, world.render(shots), world.eye_scale)
    with h5py.File(root / "xgaze_subject0002.h5") as file:
        assert file.attrs["image_size"] == 32
        assert set(file) == set(expected)
        for name, array in expected.items():
            assert np.array_equal(file[name][:], array), name
            assert file[name].chunks == (1, *array.shape[1:])
            assert file[name].compression in (None, "gzip")  # lzf's bytes would differ from run to run


@pytest.mark.parametrize("rows", [4, 7, 200])
def test_pairs_are_a_permutation_of_the_second_half(rows):
    half = rows // 2
    pairs = pairs_of(rows, 0, "test")
    assert sorted(pairs) == list(range(half, 2 * half))
    assert pairs == pairs_of(rows, 0, "test")
    if rows == 200:
        assert pairs not in (sorted(pairs), pairs_of(rows, 1, "test"), pairs_of(rows, 0, "val"))


def test_pairs_are_lines_of_a_file(root):
    assert sorted(p.name for p in (root / "pairs").iterdir()) == ["test.txt", "train.txt"]
    assert [int(line) for line in (root / "pairs/test.txt").read_text().splitlines()] == pairs_of(4, 0, "test")


def test_nobody_has_the_number_of_a_public_test_person(world, tmp_path, monkeypatch):
    people = []
    monkeypatch.setattr(head_files, "_write_person", lambda person: people.append(person.path.stem))
    write_heads(world, tmp_path / "heads", {"train": 100, "val": 10, "test": 10})
    numbers = [int(name.removeprefix("xgaze_subject")) for name in people]
    assert len(set(numbers)) == 120
    assert not {f"{number:04d}" for number in numbers} & XGAZE_TEST


def test_processes_change_no_byte(root, world, tmp_path, monkeypatch):
    @contextmanager
    def elsewhere(workers):
        """What processes do, in another order than asked for."""
        yield lambda work, people: [work(pickle.loads(pickle.dumps(person))) for person in reversed(list(people))]

    monkeypatch.setattr(head_files, "mapping", elsewhere)
    write_heads(world, tmp_path / "heads", COUNTS, workers=2)
    for path in (p for p in root.rglob("*") if p.is_file()):
        assert (tmp_path / "heads" / path.relative_to(root)).read_bytes() == path.read_bytes(), path.name


def test_a_second_run_has_nothing_to_do_and_another_request_is_refused(root, world, monkeypatch):
    monkeypatch.setattr(head_files, "_write", None)
    assert not write_heads(world, root, COUNTS)
    with pytest.raises(UserError, match=r"seed is 0 there, 5 here.*overwrite=true"):
        write_heads(world, root, COUNTS, seed=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"train": 0, "val": 0}}, "at least one person"),
        ({"counts": {"train": 9000, "val": 1}}, "9001 people; expected at most 9000"),
        ({"counts": COUNTS, "annotators": 2}, "annotators is 2; expected 1"),
    ],
)
def test_bad_requests_are_refused(world, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_heads(world, tmp_path / "heads", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "train", "test"), [("heads", 0.6, 0.6), ("heads_wide", 0.7, 0.7)])
def test_worlds_of_the_config_can_be_written(name, train, test, tmp_path):
    with initialize_config_module("gaze.conf"):
        cfg = compose("synthesize", [f"world={name}", "size=16", "world.frames.train=2"])
    assert not list(problems(OmegaConf.to_container(cfg.world, resolve=True), "world"))
    world, write = (
        instantiate(part, _convert_="object", _execution_whitelist_=["gaze.synthesis.*"])
        for part in (cfg.world, cfg.layout)
    )
    assert (world.habits.gaze_yaw_rad["train"], world.habits.gaze_yaw_rad["test"]) == (train, test)
    assert write(world, tmp_path / "heads", {"train": 1, "val": 0, "test": 0})
