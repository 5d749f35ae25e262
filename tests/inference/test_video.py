"""A video in, the same video with overlays out. Skipped where PyAV is not installed."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from gaze.errors import UserError
from gaze.inference.heads import FixedHeads, HeadsError
from gaze.inference.video import is_video, predict_video
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
