import numpy as np
import pytest
from PIL import Image

from gaze.errors import UserError
from gaze.recordings.gazehub_2d import GazeHub2D
from tests.groups import build, node
from tests.recordings.gazecapture_folders import DOTS

PHONES = "Face Left Right Grid Xcam,Ycam Xdot,Ydot Device"
LAPTOPS = "Face Left Right Grid Origin whicheye 2DPoint HeadRot HeadTrans ratio FaceCorner LeftEyeCorner RightEyeCorner"


def crops(root, person, at):
    names = [f"{person}/{folder}/{at}.jpg" for folder in ("face", "left", "right", "grid")]
    for name in names:
        path = root / "Image" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return " ".join(names)


def write(root, file, header, lines):
    path = root / "Label" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    (root / "Image").mkdir(exist_ok=True)


def phone(root, at, orientation=1, cam=None, dot=None, device="iPhone6"):
    _, points, plane = DOTS[orientation]
    cam, dot = cam or plane, dot or points
    return f"{crops(root, '00002', at)} {cam[0]},{cam[1]} {dot[0]},{dot[1]} {device}"


def laptop(root, at=1, px="640.0,400.0", left="485,285,515,315", right="555,285,585,315"):
    rest = f"day01/0005.jpg left {px} 0.1,0.2 10.0,20.0,600.0 0.25,0.3 480,266,600,386 {left} {right}"
    return f"{crops(root, 'p00', at)} {rest}"


def read(root, name, **options):
    return list(GazeHub2D(root, **options).read(name))


def test_a_phone_s_orientation_is_the_one_in_which_points_and_cm_agree(tmp_path):
    write(tmp_path, "val/00002.label", PHONES, [phone(tmp_path, at, held) for at, held in enumerate((1, 2, 3, 4))])
    reader = build(node("recording", "gazehub_2d"), root=str(tmp_path))
    assert reader.recordings() == ["00002"]
    samples = list(reader.read("00002"))
    assert [s.reject_reason for s in samples] == [None] * 4
    assert [s.orientation for s in samples] == [1, 2, 3, 4]
    assert {(s.subject, s.split, s.device) for s in samples} == {("00002", "val", "iphone_6")}
    assert [s.screen_pt for s in samples] == [(375, 667), (375, 667), (667, 375), (667, 375)]
    assert samples[2].gaze_cam_cm == pytest.approx(DOTS[3][2])
    # 267 and 75 points of two pixels each
    assert samples[2].gaze_screen_px == pytest.approx((534, 150))
    assert samples[0].frame == 2  # the line below the header
    assert samples[0].left_eye == tmp_path / "Image" / "00002" / "left" / "0.jpg"


def test_display_zoom_is_told_from_the_points(tmp_path):
    # iPhone 6 shows 320 x 568 points then: the same place is (64, 227.37)
    write(tmp_path, "train/00002.label", PHONES, [phone(tmp_path, 0, dot=(64, 267 * 568 / 667))])
    (sample,) = read(tmp_path, "00002")
    assert (sample.valid, sample.orientation, sample.screen_pt) == (True, 1, (320, 568))


def test_unusable_lines_stay_with_the_reason(tmp_path):
    lines = [
        phone(tmp_path, 0, cam=(1.5, -5)),
        phone(tmp_path, 1, cam=("nan", -5)),
        phone(tmp_path, 2, dot=("nan", 1)),
        phone(tmp_path, 3),
        phone(tmp_path, 4),
    ]
    (tmp_path / "Image/00002/left/3.jpg").unlink()
    write(tmp_path, "train/00002.label", PHONES, lines)
    no_orientation = "points and cm are of one place in no orientation"
    expected = [no_orientation, "label is not finite", no_orientation, "a crop is missing", None]
    assert [s.reject_reason for s in read(tmp_path, "00002")] == expected


def test_a_laptop_s_label_is_in_cm_and_its_left_is_the_picture_s(tmp_path):
    write(tmp_path, "p00.label", LAPTOPS, [laptop(tmp_path)])
    (sample,) = read(tmp_path, "p00")
    assert sample.valid, sample.reject_reason
    assert sample.gaze_screen_px == (640, 400)
    assert sample.gaze_screen_cm == pytest.approx((16, 12))  # 640 * 0.25 mm, 400 * 0.3 mm; not 1.6 dm
    assert sample.gaze_cam_cm == pytest.approx((16, -12))
    # The script's Left is further left in the picture: the user's right
    assert sample.right_eye == tmp_path / "Image/p00/left/1.jpg"
    assert (sample.right_eye_box, sample.left_eye_box) == ((485, 285, 30, 30), (555, 285, 30, 30))
    assert sample.face_box == (480, 266, 120, 120)
    assert sample.head_distance_cm == pytest.approx(np.linalg.norm([1, 2, 60]))
    assert (sample.session, sample.device_kind, sample.frame_size) == ("day01", "laptop", None)


def test_frame_sizes_come_from_the_original_pictures(tmp_path):
    write(tmp_path, "p00.label", LAPTOPS, [laptop(tmp_path)])
    picture = tmp_path / "mpii/p00/day01/0005.jpg"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (1280, 720)).save(picture)
    assert read(tmp_path, "p00", originals=tmp_path / "mpii")[0].frame_size == (1280, 720)


def test_people_without_folders_of_splits_are_left_out_one_at_a_time(tmp_path):
    for name in ("p00", "p01", "p02"):
        write(tmp_path, f"{name}.label", LAPTOPS, [laptop(tmp_path)])
    assert GazeHub2D(tmp_path, fold=1, val_people=1).split == {"p00": "train", "p01": "test", "p02": "val"}


@pytest.mark.fault("D10")
def test_a_person_in_two_splits_is_refused(tmp_path):
    for split in ("train", "test"):
        write(tmp_path, f"{split}/00002.label", PHONES, [])
    with pytest.raises(UserError, match="expected a person in one split"):
        GazeHub2D(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a b c", r"00002\.label:line 3: 3 words; expected the header's 7"),
        ("a b c d 1,x 2,3 iPhone6", r"00002\.label:line 3: xcam,ycam: could not convert string to float: 'x'"),
        ("a b c d 1,2,3 2,3 iPhone6", r"00002\.label:line 3: xcam,ycam is 1,2,3; expected 2 numbers"),
        ("../a b c d 1,2 2,3 iPhone6", r"00002\.label:line 3: path '\.\./a' climbs"),
        ("a b c d 1,2 2,3 iPhone6z", r"'iPhone6z' is not known; did you mean iphone_6"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    write(tmp_path, "train/00002.label", PHONES, [phone(tmp_path, 0), line])
    with pytest.raises(UserError, match=message):
        read(tmp_path, "00002")


def test_other_headers_and_empty_folders_are_refused(tmp_path):
    write(tmp_path, "train/00002.label", "Face Left Right Gaze", [])
    with pytest.raises(UserError, match="the header is 'face left right gaze'; expected at least face left right xcam"):
        read(tmp_path, "00002")
    with pytest.raises(UserError, match=r"fold is 0, and .* is split into train, val, test; expected null"):
        GazeHub2D(tmp_path, fold=0)
    (tmp_path / "Label/train/00002.label").unlink()
    with pytest.raises(UserError, match=r"has no file \*\.label"):
        GazeHub2D(tmp_path)
