import json

import pytest
from PIL import Image

from gaze.errors import UserError
from gaze.recordings.mobilepog import MobilePoG
from tests.groups import build, node

FACE = {"face_bbox": [100, 150, 300, 370], "leye_bbox": [220, 200, 260, 240], "reye_bbox": [140, 200, 180, 230]}
GRID = [(0, 0), (0, 4), (10, 0), (10, 4)]  # (row, col), held upright
# An upright screen 6.5 cm wide whose camera is above its middle, and the same phone in the other directions
POINTS = {1: [(-3, -1), (3, -1), (-3, -13), (3, -13)], 3: [(-3, 13), (3, 13), (-3, 1), (3, 1)]}
POINTS |= {2: [(1, 3), (13, 3), (1, -3), (13, -3)], 4: [(-13, 3), (-1, 3), (-13, -3), (-1, -3)]}


def write(root, name="s01_1_2", points=POINTS[1], **changes):
    folder = root / name
    (folder / "frames").mkdir(parents=True)
    frames = [f"{at:05d}" for at in range(len(points))]
    for frame in frames:
        Image.new("RGB", (480, 640)).save(folder / "frames" / f"{frame}.jpg")
    files = {
        "info": {"subject": "s01", "pose": "1_2", "dataset": "train"},
        "label": {
            frame: {"label_x": x, "label_y": y, "row": row, "col": col}
            for frame, (x, y), (row, col) in zip(frames, points, GRID, strict=True)
        },
        "face": dict.fromkeys(frames, FACE),
        "headpose": {frame: {"pitch": 1.5, "yaw": -2, "roll": 0} for frame in frames},
        "camera": {"camera_matrix": [[500, 0, 240], [0, 510, 320], [0, 0, 1]]},
    }
    for stem, content in {**files, **changes}.items():
        if content is not None:
            (folder / f"{stem}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def read(root, name="s01_1_2", **options):
    return list(MobilePoG(root, **options).read(name))


def test_a_static_recording(tmp_path):
    folder = write(tmp_path)
    reader = build(node("recording", "mobilepog"), root=str(tmp_path))
    assert reader.recordings() == ["s01_1_2"]
    samples = list(reader.read("s01_1_2"))
    assert all(s.valid for s in samples), [s.reject_reason for s in samples]
    last = samples[-1]
    assert (last.sample_id, last.subject, last.split) == ("mobilepog/s01_1_2/00003", "s01", "train")
    assert (last.session, last.device_kind, last.device) == ("pose 1_2", "phone", None)
    assert last.gaze_cam_cm == (3, -13)
    assert [s.dot_index for s in samples] == [0, 4, 50, 54]
    assert last.face_box == (100, 150, 200, 220)
    assert (last.left_eye_box, last.right_eye_box) == ((220, 200, 40, 40), (140, 200, 40, 30))
    assert last.camera_K == (500, 510, 240, 320)
    assert last.attrs == {"row": "10", "col": "4", "head_pitch": "1.5", "head_yaw": "-2", "head_roll": "0"}
    assert last.picture == folder / "frames" / "00003.jpg"
    assert last.frame_size == (480, 640)


@pytest.mark.parametrize(("direction", "orientation"), [(1, 1), (2, 3), (3, 2), (4, 4)])
def test_the_side_that_labels_are_on_says_how_the_phone_lies(tmp_path, direction, orientation):
    info = {"subject": "s01", "pose": f"{direction}_1", "dataset": "test"}
    write(tmp_path, info=info, points=POINTS[direction])
    assert {s.orientation for s in read(tmp_path)} == {orientation}


def test_labels_that_don_t_turn_with_the_screen_are_refused(tmp_path):
    write(tmp_path, info={"subject": "s01", "pose": "2_1", "dataset": "test"})
    with pytest.raises(UserError, match=r"pose 2_1 means a phone that lies, and its labels are around \(0\.0, -7\.0\)"):
        read(tmp_path)


def test_a_dynamic_recording_is_one_point_held_upright(tmp_path):
    write(tmp_path, "s01_7", info={"subject": "s01", "point": "7", "dataset": "test"}, points=[(3, -1)] * 4)
    samples = read(tmp_path, "s01_7")
    assert {(s.dot_index, s.orientation, s.split, s.session) for s in samples} == {(7, 1, "test", "point 7")}


def test_what_was_inferred_can_be_set_otherwise(tmp_path):
    write(tmp_path, points=[(x, -y) for x, y in POINTS[1]])
    first = read(tmp_path, y_up=False, left_is_users=False, device="iphone_6")[0]
    assert first.gaze_cam_cm == (-3, -1)
    assert first.left_eye_box == (140, 200, 40, 30)
    assert (first.device, first.screen_cm) == ("iphone_6", pytest.approx((5.85, 10.405)))
    # camera 1.861 cm right of the corner and 0.803 above
    assert first.gaze_screen_cm == pytest.approx((-3 + 1.861, 1 - 0.803))


def test_unusable_frames_stay_with_the_reason(tmp_path):
    folder = write(tmp_path)
    label = json.loads((folder / "label.json").read_text())
    label["00000"]["label_x"] = None
    face = {**dict.fromkeys(label, FACE), "00001": {**FACE, "leye_bbox": [5, 5, 5, 9]}, "00003": {}}
    (folder / "label.json").write_text(json.dumps(label))
    (folder / "face.json").write_text(json.dumps(face))
    (folder / "frames" / "00002.jpg").unlink()
    box = "a box is missing, empty or not finite"
    expected = ["label is not finite", box, "picture is missing or damaged", box]
    assert [s.reject_reason for s in read(tmp_path)] == expected


@pytest.mark.parametrize("stem", ["info", "label", "face", "headpose", "camera"])
def test_a_missing_file_is_named(tmp_path, stem):
    write(tmp_path, **{stem: None})
    with pytest.raises(UserError, match=rf"{stem}\.json is missing; expected .*, from the MobilePoG download"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"face": {}}, r"face\.json lacks frame 00000 of label\.json"),
        ({"label": {"a": {}}}, r"label\.json has 'a': \{\}; expected frames such as '00000'"),
        ({"label": "[]"}, r"label\.json holds a list"),
        ({"info": {"subject": "s01", "pose": "1_2"}}, "dataset None; expected a subject, and one of train, val, test"),
        ({"info": {"subject": "s01", "pose": "9_2", "dataset": "val"}}, "pose is '9_2'; expected such as '1_2'"),
        ({"camera": "{"}, r"camera\.json is not JSON"),
    ],
)
def test_damaged_files_are_refused(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_an_empty_root_and_an_unknown_phone_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no recording; expected folders"):
        MobilePoG(tmp_path).recordings()
    with pytest.raises(UserError, match="did you mean iphone_6"):
        MobilePoG(tmp_path, device="iphone_6z")
