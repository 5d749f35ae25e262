"""Training from shards in a store: the samples and weights of training from the same files here, also after a kill."""

from __future__ import annotations

import signal

import pytest
import torch

from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.datasets.faults import DatasetError
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_mixing import CutMix
from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.loading import BatchPlan, Views
from gaze.losses.objective import Objective
from gaze.losses.point import PointEuclidean
from gaze.metrics.point_error import PointError
from gaze.recordings.reading import read_columns
from gaze.recordings.shards import write_shards
from gaze.recordings.writer import ScreenWriter
from gaze.stores import pieces
from gaze.types import collate
from tests.processes import exit_code
from tests.recordings.miniature import recording, sample
from tests.stubs.s3 import served
from tests.stubs.screen import ScreenRegressor
from tests.stubs.training import line_trainer

STREAM = {"window": 2, "lanes": 2, "run": 4}
SIZES = {"face_size": 8, "eye_size": 8}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """48 frames to train on in shards of a few row groups of 5, on a server."""
    root = tmp_path_factory.mktemp("shards")
    with ScreenWriter(root / "mini.parquet", dataset="mini", boxes="made up", crop={"margin": 0.25}) as table:
        for person in ("anna", "ben", "cleo"):
            table.write(recording(person, frames=24))
    assert write_shards(root / "mini.parquet", root / "bucket/mini", shard_mb=0.12, group_rows=5) > 2
    with served(root) as server:
        yield server


def test_shards_hold_the_rows_of_the_table(shards, tmp_path):
    whole, parts = shards.folder / "mini.parquet", shards.folder / "bucket/mini"
    columns = ["sample_id", "face_bytes", "subject", "gaze_cam_cm", "attrs"]
    assert read_columns(parts, columns).to_pylist() == read_columns(whole, columns).to_pylist()
    assert ScreenDataset(str(parts), "train", **SIZES).margin == 0.25
    with pytest.raises(UserError, match="is there already"):
        write_shards(whole, parts)
    with ScreenWriter(tmp_path / "paths.parquet", dataset="mini", boxes="made up") as table:
        table.write([sample(picture=tmp_path / "x.jpg")])
    with pytest.raises(UserError, match=r"has pictures that are files beside it \(frame_path\)"):
        write_shards(tmp_path / "paths.parquet", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["paths.parquet"]


def data(path, cache=None, **changes) -> ScreenDataset:
    settings = {"streams": ["face", "left_eye"], "augmentations": [CutMix("cut", 0.5)], "stream": STREAM, **SIZES}
    return ScreenDataset(str(path), cache=cache, cache_gb=0.1, **(settings | {"split": "train"} | changes))


def test_a_stream_takes_each_frame_once_from_few_row_groups_at_a_time(shards):
    frames = data(shards.folder / "bucket/mini")
    order = frames.order(torch.Generator().manual_seed(4))
    assert sorted(order[0:48].tolist()) == list(range(48))
    near = frames.near(7, torch.Generator().manual_seed(4))
    assert 7 in near.tolist()
    assert len((frames._rows[near] // 5).unique()) <= STREAM["window"]
    views = Views(frames, seed=0)
    for keys in BatchPlan(48, 4, order=frames.order):
        collate([views[key] for key in keys])
        assert len(frames._reader._decoded) <= 2 * STREAM["window"] * STREAM["lanes"]


def test_what_a_stream_can_not_do_is_refused(shards):
    with pytest.raises(ValueError, match=r"dataset\.stream has shards; expected some of window, lanes, run"):
        data(shards.folder / "bucket/mini", stream={"shards": 3})
    with pytest.raises(ValueError, match=r"takes each frame once, and dataset\.balance is 1\.0"):
        data(shards.folder / "bucket/mini", balance=1.0)


class KillAt(Callback):
    """Ends the process as a power failure would."""

    def step_end(self, trainer, terms):
        if trainer.progress.step == 7:
            signal.raise_signal(signal.SIGKILL)


def fit(run, path, cache, kill=False, workers=0):
    torch.manual_seed(0)
    trainer = line_trainer(
        run,
        {**({"kill": KillAt()} if kill else {}), "checkpoint": Checkpoint(every_steps=2)},
        hardware=Hardware(device="cpu", workers=workers),
        model=ScreenRegressor(["face", "left_eye"]),
        objective=Objective({"point": PointEuclidean()}),
        metrics={"error": PointError()},
        train_set=data(path, cache),
        val_set=data(path, cache, split="val", augmentations=[]),
        epochs=2,
        batch_size=4,
        monitor="error_cm",
    )
    trainer.fit()
    return trainer.model.state_dict()


def test_training_from_a_store_that_is_killed_and_goes_on_ends_as_training_from_files(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 8192)
    whole = fit(tmp_path / "whole", shards.folder / "bucket/mini", None)
    address, cache = shards.uri("bucket/mini"), str(tmp_path / "cache")
    shards.faults.errors = 1
    assert exit_code(fit, tmp_path / "killed", address, cache, True) == -signal.SIGKILL
    assert shards.faults.errors == 0
    rest = fit(tmp_path / "killed", address, cache, workers=2)
    for name, ours in rest.items():
        assert torch.equal(ours, whole[name]), name


def test_a_store_that_is_not_there_ends_a_run_before_it_begins(tmp_path, shards):
    with pytest.raises(UserError, match="s3://bucket/nothing is not there"):
        data(shards.uri("bucket/nothing"), str(tmp_path))
    with pytest.raises(UserError, match=r"name a folder for what is fetched: dataset\.cache"):
        data(shards.uri("bucket/mini"))


EYES = {"left_eye_box": (11.0, 6.0, 4.0, 4.0), "right_eye_box": (5.0, 6.0, 4.0, 4.0)}


def test_a_picture_that_is_a_file_is_read_from_below_the_table_only(tmp_path):
    frame = tmp_path / "b/table/x.jpg"
    frame.parent.mkdir(parents=True)
    frame.write_bytes(sample().face)
    (tmp_path / "b/y.jpg").write_bytes(sample().face)
    with ScreenWriter(frame.parent / "t.parquet", dataset="mini", boxes="made up") as table:
        rows = [
            sample(frame=n, picture=p, frame_size=(32, 24), face_box=(4.0, 4.0, 12.0, 12.0), **EYES)
            for n, p in enumerate([frame, frame.parent.parent / "y.jpg"])
        ]
        table.write(rows)
    with served(tmp_path) as server:
        settings = {"cut": "frame", "val_fraction": None, "cache": str(tmp_path / "cache")}
        with pytest.raises(DatasetError, match=r"mini/anna-1/00001: \.\./y\.jpg is not there"):
            ScreenDataset(server.uri("b/table"), "train", **settings, **SIZES)
        there = ScreenDataset(server.uri("b/table"), "train", on_corrupt="skip", skip_limit=0.5, **settings, **SIZES)
        assert torch.equal(
            there[0].inputs.face,
            ScreenDataset(str(frame.parent), "train", where={"frame": 0}, cut="frame", val_fraction=None, **SIZES)[
                0
            ].inputs.face,
        )
