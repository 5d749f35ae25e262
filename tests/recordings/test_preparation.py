"""Preparation: recordings become a table, whatever interrupts it, and what is wrong is told."""

from __future__ import annotations

import errno
import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gaze.datasets.crops import crop_box
from gaze.datasets.image import decode_image
from gaze.errors import UserError
from gaze.recordings.crops import Frame, Pictures, upright, with_pictures
from gaze.recordings.files import RecordingError
from gaze.recordings.landmarking import FoundFace
from gaze.recordings.making import make_table
from gaze.recordings.manifest import Manifest, write_manifest
from gaze.recordings.outcome import mistake, sentences
from gaze.recordings.reading import RowReader, read_columns
from gaze.recordings.schema import SCHEMA, header
from tests.recordings.miniature import MiniatureReader, jpeg, sample

SMALL = Pictures(face_size=16, eye_size=8)


def make(out, reader=None, pictures=SMALL, **options):
    return make_table(reader or MiniatureReader(), pictures, out, options.pop("plan", {"size": 16}), **options)


def rows(out) -> list[dict]:
    reader = RowReader(out, SCHEMA.names)
    return [reader.row(number) for number in range(len(reader))]


class Interrupting(MiniatureReader):
    """Is stopped in the middle of a recording."""

    def __init__(self, at: str, error: type[BaseException]) -> None:
        super().__init__()
        self.at, self.error = at, error
        self.seen: list[str] = []

    def read(self, recording):
        for number, frame in enumerate(super().read(recording)):
            self.seen.append(recording)
            if recording == self.at and number == 5:
                raise self.error("stopped")
            yield frame


def test_every_recording_becomes_a_part_and_the_report_counts_them(tmp_path):
    told = []
    report = make(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == [
        f"{n}-1.parquet" for n in ("anna", "ben", "cleo", "dan")
    ]
    assert told == [(n, 4) for n in range(5)]
    assert (report["rows"], report["valid"], report["findings"]) == (32, 32, [])
    assert report["counts"]["split"]["train"] == {"rows": 16, "valid": 16, "subjects": 2, "recordings": 2}
    assert report["counts"]["device"]["iphone_6"]["rows"] == 32
    assert report["labels_cm"][0]["screen"] == [-1.86, -11.21, 3.99, -0.8]
    assert "| train | 16 | 16 | 2 | 2 |" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert Image.open(tmp_path / "labels.png").size[0] > 100
    facts = header(tmp_path / "anna-1.parquet")
    assert (facts.boxes, facts.crop["face_size"]) == ("made up", 16)
    assert len(facts.source_sha256) == 64
    assert Image.open(io.BytesIO(rows(tmp_path)[0]["face_bytes"])).size == (16, 12)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_preparation_goes_on_and_ends_as_if_it_had_not_been(tmp_path, workers):
    reader = Interrupting("cleo-1", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", reader)
    assert sorted(p.name for p in (tmp_path / "a").glob("*.parquet")) == ["anna-1.parquet", "ben-1.parquet"]
    kept = (tmp_path / "a/anna-1.parquet").read_bytes()
    (tmp_path / "a/.cleo-1.parquet.99.part").write_text("left behind")
    again = Interrupting("nobody", KeyboardInterrupt)
    report = make(tmp_path / "a", again, workers=workers)
    assert (tmp_path / "a/anna-1.parquet").read_bytes() == kept
    assert workers or set(again.seen) == {"cleo-1", "dan-1"}
    assert not list((tmp_path / "a").glob(".*.part"))
    assert report == make(tmp_path / "b")
    for one, other in zip(rows(tmp_path / "a"), rows(tmp_path / "b"), strict=True):
        np.testing.assert_equal(one, other)
    sources = [header(tmp_path / run / "cleo-1.parquet").source_sha256 for run in "ab"]
    assert sources[0] == sources[1]


def test_what_is_finished_is_not_made_again_and_what_is_damaged_is(tmp_path):
    make(tmp_path)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.parquet")}
    damaged = tmp_path / "ben-1.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (tmp_path / "zoe-1.parquet").write_bytes((tmp_path / "dan-1.parquet").read_bytes())  # of a recording that is gone
    make(tmp_path)
    after = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.parquet")}
    assert [name for name in before if after[name] != before[name]] == ["ben-1.parquet"]
    assert len(after) == 4
    assert len(rows(tmp_path)) == 32


def test_other_settings_are_refused_with_the_differences(tmp_path):
    make(tmp_path, plan={"size": 16, "reader": {"root": "a"}})
    with pytest.raises(UserError, match="size was 16 and is now 32; reader.root was 'a' and is now 'b'"):
        make(tmp_path, plan={"size": 32, "reader": {"root": "b"}})
    make(tmp_path, plan={"size": 32}, pictures=replace(SMALL, face_size=8), overwrite=True)
    assert header(tmp_path / "anna-1.parquet").crop["face_size"] == 8


def test_a_folder_of_another_tool_is_left_alone(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"precious")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="another tool wrote them"):
            make(tmp_path, overwrite=overwrite)
    (tmp_path / "mine.parquet").rename(tmp_path / "away")
    make(tmp_path)
    (tmp_path / "away").rename(tmp_path / "mine.parquet")
    with pytest.raises(UserError, match="mine.parquet is no part of this table, or damaged; move it elsewhere"):
        make(tmp_path, overwrite=True)
    assert (tmp_path / "mine.parquet").read_bytes() == b"precious"


def test_a_full_disk_is_one_sentence_and_what_is_finished_stays(tmp_path):
    with pytest.raises(UserError, match=r"out can't be written: .*No space left on device; free space, or choose"):
        make(tmp_path / "out", Interrupting("cleo-1", lambda _: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    left = sorted(p.name for p in (tmp_path / "out").glob("*.parquet"))
    assert left == ["anna-1.parquet", "ben-1.parquet"]
    assert make(tmp_path / "out")["rows"] == 32
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/out can't be written: .*Not a directory"):
        make(tmp_path / "file/out")


class Faulty(MiniatureReader):
    """Has a row that can't be trained on, one that it refuses itself, and a recording that can't be read."""

    def __init__(self, fails: bool = True) -> None:
        super().__init__()
        self.fails = fails

    def read(self, recording):
        if recording == "dan-1" and self.fails:
            raise RecordingError("dan-1/screen.json is missing; restore the file")
        for frame in super().read(recording):
            if recording == "ben-1" and frame.frame == 2:
                frame = replace(frame, left_eye_box=(0.0, 0.0, 5.0, 5.0))
            if recording == "ben-1" and frame.frame == 3:
                frame = replace(frame, valid=False, reject_reason="blink", face=None)
            yield frame


def test_invalid_rows_are_kept_marked_or_dropped_or_an_error(tmp_path):
    report = make(tmp_path / "keep", Faulty(), lag_reach=0)
    assert (report["rows"], report["valid"]) == (24, 22)
    assert report["rejected"] == {"blink": 1, "eyes swapped": 1}
    assert report["failed"] == {"dan-1": "dan-1/screen.json is missing; restore the file"}
    assert report["findings"] == []
    assert rows(tmp_path / "keep")[10]["reject_reason"] == "eyes swapped"
    told = list(sentences(report))
    assert "refused: 1 rows (as mini/ben-1/00003): blink" in told
    assert any(
        "00002): eyes swapped: the left eye's box is at" in line and "exchange the eyes" in line for line in told
    )
    assert "unreadable: recording dan-1: dan-1/screen.json is missing; restore the file" in told
    assert "1 recordings can't be read, and the same command tries them again" in mistake(report, "out")
    report = make(tmp_path / "drop", Faulty(), invalid="drop")
    assert (report["rows"], report["valid"]) == (22, 22)
    assert report["dropped"] == {"blink": 1, "eyes swapped": 1}
    assert "| eyes swapped | 1 |" in (tmp_path / "drop/report.md").read_text()
    assert make(tmp_path / "drop", Faulty(), invalid="drop")["dropped"] == report["dropped"]
    with pytest.raises(UserError, match="mini/ben-1/00002: eyes swapped: .*exchange the eyes.*; or set invalid=keep"):
        make(tmp_path / "raise", Faulty(False), invalid="raise")
    only = Faulty()
    only.recordings = lambda: ["dan-1"]
    with pytest.raises(UserError, match=r"screen.json is missing"):
        make(tmp_path / "unread", only, invalid="raise")


def test_a_recording_that_failed_is_tried_again(tmp_path):
    make(tmp_path, Faulty())
    report = make(tmp_path, Faulty(False))
    assert report["rows"] == 32
    assert report["failed"] == {}


def test_a_table_without_a_valid_row_is_a_mistake(tmp_path):
    report = make(tmp_path, Framed(tmp_path / "nowhere.jpg"))
    assert "none of its 1 rows is valid; mend what stands above" in mistake(report, tmp_path)
    assert mistake(make(tmp_path / "good"), tmp_path) is None


def test_a_manifest_replaces_the_split(tmp_path):
    write_manifest(
        Manifest("mini", {"kind": "random"}, {"train": ["dan"], "test": ["anna", "ben"]}), tmp_path / "s.json"
    )
    make(tmp_path / "a", manifest=tmp_path / "s.json")
    found = read_columns(tmp_path / "a", ["subject"], [("split", "==", "test")])
    assert set(found["subject"].to_pylist()) == {"anna", "ben"}
    assert set(read_columns(tmp_path / "a", ["subject"], [("split", "==", "unused")])["subject"].to_pylist()) == {
        "cleo"
    }
    (tmp_path / "list.json").write_text(json.dumps({"train": ["anna-1/face/0.jpg"], "test": ["dan-1/face/0.jpg"]}))
    make(tmp_path / "b", manifest=tmp_path / "list.json")
    assert set(read_columns(tmp_path / "b", ["subject"], [("split", "==", "train")])["subject"].to_pylist()) == {"anna"}


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "frames" / "00000.jpg"
    path.parent.mkdir()
    path.write_bytes(jpeg(3, (64, 48)))
    return path


def framed(picture, **changes):
    boxes = {
        "face_box": (8.0, 10.0, 30.5, 30.0),
        "left_eye_box": (30.0, 16.0, 8.0, 8.0),
        "right_eye_box": (-3.0, 16.0, 8.0, 8.0),
    }
    crops = {"face": None, "left_eye": None, "right_eye": None}
    return sample(picture=picture, **(boxes | crops | {"frame_size": None} | changes))


class Framed(MiniatureReader):
    """Gives whole frames."""

    finished_crops = False

    def __init__(self, picture, **changes) -> None:
        super().__init__()
        self.picture, self.changes = picture, changes

    def recordings(self):
        return ["anna/1"]

    def read(self, recording):
        yield framed(self.picture, recording=recording, **self.changes)


@pytest.mark.parametrize("padding", ["replicate", "black"])
def test_crops_are_cut_from_frames(tmp_path, picture, padding):
    make(tmp_path / "a", Framed(picture), replace(SMALL, padding=padding, quality=100, margin=0.0))
    (row,) = rows(tmp_path / "a")
    assert (row["frame_w"], row["frame_h"], row["frame_rotation"], row["valid"]) == (48, 64, 0, True)
    assert row["frame_bytes"] is row["frame_path"] is row["face_path"] is None
    frame = decode_image("frame", picture.read_bytes())
    for stream, size in (("face", 16), ("left_eye", 8), ("right_eye", 8)):
        expected = crop_box(frame, tuple(row[f"{stream}_box"].tolist()), (size, size), padding)
        found = decode_image(stream, row[f"{stream}_bytes"])
        assert (found.float() - expected.float()).abs().mean() < 12  # JPEG
    assert len(list((tmp_path / "a").glob("anna_1-*.parquet"))) == 1


def test_crops_reach_beyond_their_boxes_by_the_margin_that_the_table_says(tmp_path, picture):
    make(tmp_path / "a", Framed(picture), replace(SMALL, quality=100, margin=0.25))
    (row,) = rows(tmp_path / "a")
    assert row["face_box"].tolist() == [8.0, 10.0, 30.5, 30.0]
    frame, part = decode_image("frame", picture.read_bytes()), next((tmp_path / "a").glob("*.parquet"))
    assert header(part).crop == {**header(part).crop, "margin": 0.25, "face_size": 16, "eye_size": 8}
    for stream, size in (("face", 24), ("left_eye", 16), ("right_eye", 16)):  # multiples of 8 px
        x, y, w, h = row[f"{stream}_box"].tolist()
        expected = crop_box(frame, (x - w / 4, y - h / 4, 1.5 * w, 1.5 * h), (size, size))
        found = decode_image(stream, row[f"{stream}_bytes"])
        assert (found.float() - expected.float()).abs().mean() < 12  # JPEG


def test_crops_that_were_finished_before_have_no_margin(tmp_path, picture):
    make(tmp_path / "finished", pictures=replace(SMALL, margin=0.25))
    make(tmp_path / "whole", Framed(picture), replace(SMALL, margin=0.25, images="frame"))
    for folder in ("finished", "whole"):
        assert header(next((tmp_path / folder).glob("*.parquet"))).crop["margin"] == 0
    assert rows(tmp_path / "finished")[0]["valid"]
    assert Image.open(io.BytesIO(rows(tmp_path / "finished")[0]["face_bytes"])).size == (16, 12)
    made = make(tmp_path / "both", Framed(picture, face=jpeg(1)), replace(SMALL, margin=0.25))
    assert next(iter(made["rejected"])).startswith("picture: is a finished crop, which has no margin")


def test_paths_or_whole_frames_can_be_kept_instead(tmp_path, picture):
    make(tmp_path / "path", Framed(picture), replace(SMALL, images="path"))
    (row,) = rows(tmp_path / "path")
    assert row["frame_path"] == str(picture)
    assert (row["face_bytes"], row["frame_bytes"], row["frame_w"]) == (None, None, 48)
    make(tmp_path / "frame", Framed(picture), replace(SMALL, images="frame"))
    (row,) = rows(tmp_path / "frame")
    assert row["frame_bytes"] == picture.read_bytes()
    assert row["frame_path"] is None


@pytest.mark.parametrize(("exif", "rotation"), [(3, 180), (6, 270), (8, 90)])
def test_a_picture_that_exif_turns_is_upright_in_the_table(tmp_path, exif, rotation):
    path = tmp_path / "turned.jpg"
    image = Image.open(io.BytesIO(jpeg(1, (64, 48))))
    tags = Image.Exif()
    tags[0x0112] = exif
    image.save(path, exif=tags, quality=95)
    size = (64, 48) if rotation != 180 else (48, 64)
    found = upright(framed(path), Frame(path))
    assert (found.frame_size, found.frame_rotation) == (size, rotation)
    stored = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)
    assert Frame(path).image().equal(stored.rot90(rotation // 90, (1, 2)))
    kept = with_pictures(found, Frame(path), replace(SMALL, images="frame"))
    assert Image.open(io.BytesIO(kept.picture)).size == size
    assert Image.open(io.BytesIO(kept.picture)).getexif().get(0x0112) is None
    noted = make(tmp_path / "noted", Framed(path, frame_size=None))["findings"]
    assert [(f["name"], f["severe"], f["rows"]) for f in noted] == [("turned by EXIF", False, 1)]
    if rotation != 180:
        report = make(tmp_path / "a", Framed(path, frame_size=(48, 64)))
        assert "rotated by EXIF: its boxes are of a frame of 48 x 64 px" in next(iter(report["rejected"]))


@pytest.mark.parametrize(
    ("damage", "expected"), [("gone", "no such file"), ("cut", "damaged"), ("text", "is not a picture")]
)
def test_a_picture_that_cannot_be_used_marks_its_row(tmp_path, picture, damage, expected):
    if damage == "gone":
        picture.unlink()
    else:
        picture.write_bytes(picture.read_bytes()[:700] if damage == "cut" else b"hello")
    report = make(tmp_path / "a", Framed(picture))
    (reason,) = report["rejected"]
    assert reason.startswith("picture: ")
    assert expected in reason


def mesh() -> np.ndarray:
    points = np.random.default_rng(0).uniform(0.3, 0.7, (478, 3)).astype(np.float32)
    points[[263, 362, 33, 133], :2] = [(0.9, 0.5), (0.6, 0.5), (0.1, 0.5), (0.4, 0.5)]
    return points


class Seer:
    """A landmarker that always finds the same."""

    def __init__(self, faces: int) -> None:
        self.faces = faces

    def __call__(self, image):
        assert image.shape == (3, 64, 48)
        return FoundFace(mesh(), np.zeros(52, np.float32), self.faces) if self.faces else None


BARE = {"landmarks": None, "face_box": None, "left_eye_box": None, "right_eye_box": None}


@pytest.mark.parametrize("source", ["json", "landmarker"])
def test_landmarks_give_the_boxes_that_a_data_set_lacks(tmp_path, picture, source):
    (tmp_path / "points.json").write_text(json.dumps({"frames/00000.jpg": mesh().tolist()}))
    given = {"landmarks": f"json:{tmp_path / 'points.json'}"} if source == "json" else {"landmarker": Seer(1)}
    make(tmp_path / "a", Framed(picture, **BARE), **given)
    (row,) = rows(tmp_path / "a")
    assert row["valid"], row["reject_reason"]
    np.testing.assert_allclose(row["landmarks"].reshape(478, 3), mesh(), atol=1e-3)
    # the corners are 0.3 of 48 px apart; the box is 1.5 times that
    np.testing.assert_allclose(row["left_eye_box"], [0.75 * 48 - 10.8, 32 - 10.8, 21.6, 21.6], atol=0.05)
    assert row["face_bytes"]


@pytest.mark.parametrize(("faces", "reason"), [(0, "no face"), (2, "more than one face")])
def test_no_face_or_several_are_refused(tmp_path, picture, faces, reason):
    assert make(tmp_path / "a", Framed(picture, landmarks=None), landmarker=Seer(faces))["rejected"] == {reason: 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"invalid": "ignore"}, "invalid is 'ignore'; expected raise, drop, keep"),
        ({"boxes": "apple"}, "boxes is 'apple'"),
        ({"boxes": "landmarks"}, "there are none; give landmarks=json:FILE or landmarks=mediapipe"),
        ({"landmarks": "points.json"}, "expected json:FILE, mediapipe or null"),
        ({"landmarks": "mediapipe"}, "landmarker is null"),
        ({"recordings_per_part": 0}, "from 1"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, options, expected):
    with pytest.raises(UserError, match=expected):
        make(tmp_path, **options)


@pytest.mark.parametrize(
    "wrong", [{"images": "all"}, {"padding": "grey"}, {"face_size": 2}, {"margin": -0.1}, {"margin": 2.0}]
)
def test_wrong_pictures_are_refused(wrong):
    with pytest.raises(UserError):
        Pictures(**wrong)


def test_several_recordings_may_share_a_part(tmp_path):
    make(tmp_path, recordings_per_part=3)
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == ["anna-1.parquet", "dan-1.parquet"]
    assert len(rows(tmp_path)) == 32
