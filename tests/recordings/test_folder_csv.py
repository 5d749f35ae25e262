"""Own folders as recordings: layouts, units, and one clear sentence for each malformed row."""

import io

import numpy as np
import pytest
from PIL import Image

from gaze.errors import UserError
from gaze.recordings.folder_csv import FolderCsv
from gaze.recordings.writer import ScreenWriter
from tests.recordings.own_folders import COLUMNS, broken, strip, write


def reader(folder, **changes) -> FolderCsv:
    return FolderCsv(str(folder), **({"columns": COLUMNS} | changes))


def one(folder, **changes):
    """The first frame."""
    found = reader(folder, **changes)
    return next(iter(found.read(found.recordings()[0])))


def level(data: bytes) -> int:
    return int(np.asarray(Image.open(io.BytesIO(data))).mean())


def frame_folder(tmp_path, **cells):
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "a.png")
    return write(tmp_path, [{"image": "a.png", "person": "me", "gaze_x": 0.5, "gaze_y": -0.5, **cells}])


def test_recordings_are_people_unless_a_column_says_otherwise(tmp_path):
    folder = strip(tmp_path, day=lambda person, frame: f"{person}-{frame % 2}")
    assert reader(folder).recordings() == ["p01", "p02", "p03", "p04"]
    days = reader(folder, columns=COLUMNS | {"recording": "day"})
    assert days.recordings()[:3] == ["p01-0", "p01-1", "p02-0"]
    samples = list(days.read("p02-1"))
    assert [s.frame for s in samples] == [0, 1, 2]
    assert {s.subject for s in samples} == {"p02"}
    assert samples[0].sample_id == "folder/p02-1/00000"


def test_an_unmirrored_strip_shows_the_left_eye_at_the_right(tmp_path):
    folder = strip(tmp_path)
    sample = one(folder)
    assert level(sample.left_eye) > 150 > 100 > level(sample.right_eye)
    mirrored = one(folder, left_eye_half="left")
    assert level(mirrored.left_eye) < 100 < 150 < level(mirrored.right_eye)


def test_normalised_labels_stay_what_they_are_with_y_up(tmp_path):
    sample = one(strip(tmp_path))
    assert sample.gaze_cam_cm == (-0.9, 0.9)
    assert sample.attrs == {"label_unit": "half_windows"}


def test_normalised_labels_of_a_window_of_known_size_become_cm(tmp_path):
    sample = one(strip(tmp_path), screen_cm=[20.0, 10.0], camera_to_screen_cm=[10.0, 1.0])
    assert sample.gaze_screen_cm == pytest.approx((1.0, 0.5))
    assert sample.gaze_cam_cm == pytest.approx((-9.0, -1.5))
    assert not sample.attrs


@pytest.mark.parametrize(
    ("unit", "point", "expected"),
    [
        ("cm_camera", (1.0, -4.0), (1.0, -4.0)),
        ("cm_screen", (3.0, 3.0), (1.139, -3.803)),
        ("px", (375, 375), (1.064, -3.728)),
    ],
)
def test_units_on_a_known_device(tmp_path, unit, point, expected):
    folder = frame_folder(tmp_path)
    write(folder, [{"image": "a.png", "person": "me", "gaze_x": point[0], "gaze_y": point[1]}])
    sample = one(folder, layout="frame", unit=unit, device="iPhone 6")
    assert sample.gaze_cam_cm == pytest.approx(expected, abs=0.01)
    assert sample.device == "iphone_6"
    assert sample.device_kind == "phone"


def test_labels_that_nobody_can_place_are_refused(tmp_path):
    with pytest.raises(UserError, match="unit is cm_screen, and where the camera is .* tell recording.device"):
        reader(strip(tmp_path), unit="cm_screen").recordings()


def test_frames_with_columns_of_boxes(tmp_path):
    folder = frame_folder(tmp_path, fx=1, fy=2, fw=30, fh=31)
    sample = one(folder, layout="frame", boxes={"face": ["fx", "fy", "fw", "fh"]})
    assert sample.face_box == (1, 2, 30, 31)
    assert sample.frame_size == (64, 48)
    assert sample.picture == tmp_path / "a.png"


def test_eye_boxes_follow_from_landmarks_of_the_corners(tmp_path):
    places = {33: (0.2, 0.5), 133: (0.35, 0.5), 362: (0.6, 0.5), 263: (0.75, 0.5)}
    cells = {
        f"{axis}{index}": value for index, point in places.items() for axis, value in zip("xy", point, strict=False)
    }
    names = {index: [f"x{index}", f"y{index}"] for index in places}
    sample = one(frame_folder(tmp_path, **cells), layout="frame", landmarks=names)
    side = 1.5 * 0.15 * 64
    assert sample.left_eye_box == pytest.approx((0.675 * 64 - side / 2, 24 - side / 2, side, side), abs=1e-3)
    assert sample.landmarks[33, :2].tolist() == pytest.approx([0.2, 0.5])
    px = {name: value * (64 if name[0] == "x" else 48) for name, value in cells.items()}
    again = one(frame_folder(tmp_path, **px), layout="frame", landmarks=names, landmark_unit="px")
    assert again.left_eye_box == pytest.approx(sample.left_eye_box, abs=1e-3)


def test_a_file_for_each_stream(tmp_path):
    folder = frame_folder(tmp_path, left="a.png")
    sample = one(folder, layout="crops", columns=COLUMNS | {"left_eye": "left"})
    assert sample.left_eye == tmp_path / "a.png"
    assert sample.face is None


def test_what_else_columns_may_say(tmp_path):
    folder = strip(tmp_path, dot=3, held=4, when=0.25, fit=1, part="val", screen="iPad Air")
    told = {
        "dot": "dot",
        "orientation": "held",
        "timestamp_s": "when",
        "calibration": "fit",
        "split": "part",
        "device": "screen",
    }
    sample = one(folder, columns=COLUMNS | told)
    assert (sample.dot_index, sample.orientation, sample.timestamp_s, sample.is_calib_dot) == (3, 4, 0.25, True)
    assert sample.split == "val"
    assert sample.device == "ipad_air"
    assert sample.screen_cm == pytest.approx((19.81, 14.9), abs=0.01)


@pytest.mark.fault("D7")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images/0001.png,p01,0.1", r"line 3: 3 cells; expected 4, as the first line has"),
        ("images/0001.png,p01,0.1,0.2,0.3", r"line 3: 5 cells; expected 4"),
        ("images/0001.png,p01,abc,0.2", r"line 3: gaze_x is 'abc'; expected a finite number"),
        ("images/0001.png,p01,0.1,", r"line 3: gaze_y is ''; expected a finite number"),
        ("images/0001.png,p01,nan,0.2", r"line 3: gaze_x is 'nan'; expected a finite number"),
        ("images/0001.png,p01,320,0.2", r"line 3: gaze_x is '320'; expected a number from -1 to 1"),
        ("images/0001.png,,0.1,0.2", r"line 3: person is ''; expected something"),
        ("images/none.png,p01,0.1,0.2", r"line 3: image is 'images/none.png'; expected a file that is there"),
        ("../secret.png,p01,0.1,0.2", r"line 3: image is '../secret.png'; expected a file below"),
    ],
)
def test_malformed_rows_are_named(tmp_path, text, message):
    folder = broken(strip(tmp_path), 3, text)
    with pytest.raises(UserError, match=message):
        reader(folder).recordings()
    lines, faults = reader(folder).lines
    assert len(lines) == 23
    assert len(faults) == 1


def test_all_malformed_rows_are_named_at_once(tmp_path):
    folder = broken(broken(strip(tmp_path), 3, "x"), 5, "y")
    with pytest.raises(UserError, match=r"has 2 faults:\n.*line 3.*\n.*line 5"):
        reader(folder).recordings()


@pytest.mark.parametrize(
    ("cells", "told", "message"),
    [
        ({"held": 7}, {"orientation": "held"}, "held is '7'; expected one of 1, 2, 3, 4"),
        ({"part": "dev"}, {"split": "part"}, "part is 'dev'; expected one of train, val, test"),
        ({"screen": "Nokia 3310"}, {"device": "screen"}, "screen is 'Nokia 3310'; expected a device of"),
        ({"dot": "1.5"}, {"dot": "dot"}, "dot is '1.5'; expected a whole number"),
    ],
)
def test_cells_of_further_columns(tmp_path, cells, told, message):
    with pytest.raises(UserError, match=message):
        reader(strip(tmp_path, **cells), columns=COLUMNS | told).recordings()


def test_boxes_without_an_area_and_pictures_that_are_none(tmp_path):
    folder = frame_folder(tmp_path, fx=1, fy=2, fw=0, fh=31)
    with pytest.raises(UserError, match="fw is '0'; expected a width and a height above 0"):
        reader(folder, layout="frame", boxes={"face": ["fx", "fy", "fw", "fh"]}).recordings()
    (tmp_path / "a.png").write_text("<html>")
    with pytest.raises(UserError, match=r"image is 'a.png'; expected a picture \(is a web page"):
        reader(folder, layout="frame").recordings()


def test_strips_that_cannot_be_halved_are_not_valid(tmp_path):
    folder = strip(tmp_path)
    Image.new("RGB", (41, 20)).save(folder / "images/0000.png")
    sample = one(folder)
    assert not sample.valid
    assert "is 41 px wide; expected a strip of two halves" in sample.reject_reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "eyes"}, "recording.layout is 'eyes'; expected one of frame, crops, strip"),
        ({"unit": "mm"}, "recording.unit is 'mm'"),
        ({"left_eye_half": "top"}, "left_eye_half is 'top'"),
        ({"columns": {"x": "gaze_x"}}, "columns lacks subject, y, image"),
        ({"columns": COLUMNS | {"nose": "n"}}, "columns has nose; it takes"),
        ({"columns": COLUMNS | {"x": "gx"}}, r"has no column gx; its first line has image, person, gaze_x, gaze_y"),
        ({"layout": "crops"}, "columns names no picture"),
        ({"layout": "frame", "boxes": {"face": ["a", "b"]}}, "boxes or landmarks has face; expected"),
        ({"layout": "frame", "landmarks": {500: ["a", "b"]}}, "an index beyond 477"),
        ({"file": "labels.csv"}, "labels.csv does not exist; expected a CSV file with the columns"),
        ({"device": "Nokia 3310"}, "'Nokia 3310' is not known"),
        ({"screen_cm": [0, 10]}, r"screen_cm is \[0, 10\]; expected a width and a height above 0"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        reader(strip(tmp_path), **changes).recordings()


def test_files_that_are_no_csv(tmp_path):
    folder = strip(tmp_path)
    (folder / "index.csv").write_bytes(b"\xff\xfe\x00person")
    with pytest.raises(UserError, match="can't be read .* expected a CSV file in UTF-8"):
        reader(folder).recordings()
    write(folder, [{"image": "a", "person": "b", "gaze_x": 1, "gaze_y": 1, "x": 1}])
    file = folder / "index.csv"
    file.write_text(file.read_text().replace("gaze_y,x", "gaze_y,gaze_y"))
    with pytest.raises(UserError, match="has several columns gaze_y"):
        reader(folder).recordings()


def test_recordings_fit_the_table(tmp_path):
    found = reader(strip(tmp_path / "own"))
    with ScreenWriter(tmp_path / "t.parquet", dataset=found.dataset, boxes=found.boxes) as writer:
        for recording in found.recordings():
            writer.write(found.read(recording))
    assert writer.rows == 24
