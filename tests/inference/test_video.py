"""A video in, the same video with overlays and a table out.

What needs a video file is skipped where PyAV is not installed; what is written, and when, is tested without.
"""

import csv
import json
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import gaze.inference.video
from gaze.errors import UserError
from gaze.inference.heads import FixedHeads, HeadsError
from gaze.inference.one_euro import OneEuro
from gaze.inference.tables import SCHEMA, rows_of
from gaze.inference.tracks import Tracker
from gaze.inference.video import is_video, predict_video
from tests.inference.films import MemoryWriter, Script, film
from tests.inference.runs import predictor_of, write_run

HEADS = FixedHeads([[0.1, 0.1, 0.4, 0.5]])


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return predictor_of(write_run(tmp_path_factory.mktemp("runs") / "tiny"))


def write_video(path, frames=7, size=(48, 64)):
    """The upper left quarter is bright; there is a pause of a second after the third frame."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(30))
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        container.start_encoding()
        image = np.zeros((*size, 3), dtype=np.uint8)
        image[: size[0] // 2, : size[1] // 2] = 200
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number if number < 3 else number + 30, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_video(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_all_frames_come_out_at_their_times(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    file = predict_video(predictor, HEADS, source, tmp_path / "out", {}, every=3, batch_size=2)
    results = json.loads(file.read_text())
    assert sorted(f.name for f in file.parent.iterdir()) == ["clip_gaze.csv", "clip_gaze.mp4", "results.json"]
    assert [record["frame"] for record in results["frames"]] == [0, 3, 6]
    assert [record["time_s"] for record in results["frames"]] == [0.0, 1.1, 1.2]
    before, after = read_video(source), read_video(tmp_path / "out" / "clip_gaze.mp4")
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    assert after[0][1].shape == before[0][1].shape
    assert np.abs(after[1][1].astype(int) - before[1][1]).max() > 60  # the overlay of frame 0 is held


def test_batches_do_not_change_what_is_predicted(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    answers = []
    for size in (1, 3, 50):
        file = predict_video(predictor, HEADS, source, tmp_path / str(size), {}, every=2, batch_size=size)
        frames = json.loads(file.read_text())["frames"]
        answers.append([(f["frame"], f["people"][0]["gaze"]) for f in frames])
    for other in answers[1:]:
        assert [number for number, _ in other] == [0, 2, 4, 6]
        for (_, a), (_, b) in zip(answers[0], other, strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def test_a_frame_that_a_phone_held_upright_stored_lying_is_turned(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    identity = b"".join(n.to_bytes(4, "big") for n in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    quarter = b"".join(n.to_bytes(4, "big", signed=True) for n in (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30))
    data = source.read_bytes()
    track = data.index(b"tkhd")
    at = data.index(identity, track)
    source.write_bytes(data[:at] + quarter + data[at + len(quarter) :])
    seen = []

    def heads(name, picture, frame=0):
        seen.append(picture)
        return torch.zeros(0, 4)

    results = json.loads(predict_video(predictor, heads, source, tmp_path / "out", {}).read_text())
    assert (results["width"], results["height"]) == (48, 64)
    bright = seen[0].float().mean(0) > 100  # upper left, turned clockwise: upper right
    assert bright[:30, 26:].all()
    assert not bright[:, :22].any()
    assert read_video(tmp_path / "out" / "clip_gaze.mp4")[0][1].shape == (64, 48, 3)


def test_what_is_no_video_is_refused_and_leaves_nothing(predictor, tmp_path):
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(UserError, match=r"text.mp4 can't be read as a video"):
        predict_video(predictor, HEADS, tmp_path / "text.mp4", tmp_path / "out", {})
    write_video(tmp_path / "empty.mp4", frames=0)
    with pytest.raises(UserError, match=r"empty.mp4 (can't be read as a video|holds no frame|has no pictures)"):
        predict_video(predictor, HEADS, tmp_path / "empty.mp4", tmp_path / "out", {})
    with pytest.raises(UserError, match="does not exist"):
        predict_video(predictor, HEADS, tmp_path / "none.mp4", tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_boxes_that_do_not_fit_leave_no_half_video(predictor, tmp_path):
    source = write_video(tmp_path / "clip.mp4")
    with pytest.raises(HeadsError, match="outside the picture"):
        predict_video(predictor, FixedHeads([[100, 100, 200, 200]]), source, tmp_path / "out", {})
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["results.json"]
    assert not json.loads((tmp_path / "out" / "results.json").read_text())["complete"]


def test_without_pyav_the_way_to_get_it_is_told(predictor, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_text("")
    with pytest.raises(UserError, match=r"pip install 'gaze\[video\]'"):
        predict_video(predictor, HEADS, tmp_path / "a.mp4", tmp_path / "out", {})


def test_a_video_is_known_by_its_name(tmp_path):
    assert is_video(Path("a/b.MOV"))
    assert not is_video(Path("a/b.jpg"))
    (tmp_path / "folder.mp4").mkdir()
    assert not is_video(tmp_path / "folder.mp4")


# --- Without a video file -------------------------------------------------------------------------

LEFT, RIGHT = [0.1, 0.3, 0.3, 0.6], [0.7, 0.3, 0.9, 0.6]


@pytest.fixture
def memory(monkeypatch, tmp_path):
    """Predict on a film in memory: times in ms, heads and gaze of each frame."""
    source = tmp_path / "clip.mov"
    source.write_bytes(b"")

    def predict(times, script, **settings):
        monkeypatch.setattr(gaze.inference.video, "read_frames", lambda source: iter(film(times)))
        monkeypatch.setattr(gaze.inference.video, "VideoWriter", MemoryWriter)
        return predict_video(script, script.heads, source, tmp_path / "out", {}, **settings)

    return predict


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_tables_hold_what_the_results_hold(memory, tmp_path):
    script = Script([[(LEFT, (0.3, 0.5)), (RIGHT, (0.2, 0.2))], [(RIGHT, (0.4, 0.4))], [], [(LEFT, (0.5, 0.5))]])
    file = memory([0, 40, 80, 500], script, smooth=OneEuro(), tables=["csv", "parquet"])
    results = json.loads(file.read_text())
    assert results["complete"]
    assert results["tables"] == ["clip_gaze.csv", "clip_gaze.parquet"]
    assert names(tmp_path / "out") == ["clip_gaze.csv", "clip_gaze.mp4", "clip_gaze.parquet", "results.json"]
    assert len((tmp_path / "out" / "clip_gaze.mp4").read_bytes()) == 4  # every frame is drawn
    rows = [row for record in results["frames"] for row in rows_of(record)]
    assert [(row["frame"], row["time_s"], row["person"]) for row in rows] == [
        (0, 0.0, 1), (0, 0.0, 2), (1, 0.04, 2), (3, 0.5, 1)
    ]  # fmt: skip
    assert pq.read_table(tmp_path / "out" / "clip_gaze.parquet").to_pylist() == rows
    read = list(csv.DictReader((tmp_path / "out" / "clip_gaze.csv").read_text().splitlines()))
    assert [{name: float(row[name]) for name in SCHEMA.names} for row in read] == rows


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"tables": ["xlsx"]}, "tables has 'xlsx'"),
    ],
)
def test_settings_without_sense_write_nothing(memory, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        memory([0], Script([[]]), **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, UserError])
def test_an_interrupted_run_leaves_what_was_there_and_nothing_half(memory, tmp_path, stop):
    script = Script([[(LEFT, (0.3, 0.5))]] * 4)
    memory([0, 40], script, tables=["csv", "parquet"])
    before = {file: (tmp_path / "out" / file).read_bytes() for file in ("clip_gaze.csv", "clip_gaze.mp4")}

    class Stopping(Script):
        def heads(self, name, picture, frame=0):
            if frame == 2:
                raise stop
            return super().heads(name, picture, frame)

    with pytest.raises(stop):
        memory([0, 40, 80, 120], Stopping(script.frames), tables=["csv", "parquet"], batch_size=1)
    assert names(tmp_path / "out") == ["clip_gaze.csv", "clip_gaze.mp4", "clip_gaze.parquet", "results.json"]
    assert {file: (tmp_path / "out" / file).read_bytes() for file in before} == before
    assert not json.loads((tmp_path / "out" / "results.json").read_text())["complete"]


def test_a_table_that_is_not_made_again_stays_ours(memory, tmp_path):
    script = Script([[(LEFT, (0.3, 0.5))]])
    for tables in (["csv", "parquet"], [], ["csv", "parquet"]):
        results = json.loads(memory([0], script, tables=tables).read_text())
    assert sorted(results["files"]) == ["clip_gaze.csv", "clip_gaze.mp4", "clip_gaze.parquet"]


def test_a_table_of_somebody_else_is_left_as_it_is(memory, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip_gaze.csv").write_text("mine")
    with pytest.raises(UserError, match=r"clip_gaze.csv exists and was not written by an earlier prediction"):
        memory([0], Script([[]]))
    assert names(tmp_path / "out") == ["clip_gaze.csv"]


def test_memory_does_not_grow_with_the_length_of_the_video(memory, monkeypatch, tmp_path):
    def most(frames):
        script = Script([[(LEFT, (0.3, 0.5)), (RIGHT, (0.5, 0.5))]] * 256)
        monkeypatch.setattr("gaze.inference.follow.View.draw", lambda view: None)
        frames = [frame._replace(number=i) for i, frame in enumerate(film([0] * 24 * frames))]
        monkeypatch.setattr(gaze.inference.video, "read_frames", lambda source: iter(frames))
        monkeypatch.setattr(gaze.inference.video, "VideoWriter", MemoryWriter)
        tracemalloc.start()
        predict_video(script, lambda n, p, f=0: script.heads(n, p, 0), tmp_path / "clip.mov", tmp_path / "out", {})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(1)  # what is imported or cached at first
    short, long = most(1), most(4)
    assert long < short + 80_000, (short, long)  # the records alone of 72 frames take 170 kB


@pytest.mark.parametrize("every", [1, 2])
def test_the_gap_of_the_tracker_is_that_of_the_video(memory, every):
    frames = [[(LEFT, (0.5, 0.5))], *[[]] * 4, [], [(LEFT, (0.5, 0.5))]]
    for gap, person in ((5, 1), (2, 2)):
        results = json.loads(
            memory(range(0, 280, 40), Script(frames), every=every, tracker=Tracker(gap=gap)).read_text()
        )
        assert [p["person"] for p in results["frames"][-1]["people"]] == [person]
