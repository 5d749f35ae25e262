"""Boxes by hand and from files, and what is said of those that cannot be used."""

import json
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.errors import UserError
from gaze.inference.head_files import FileHeads
from gaze.inference.heads import FixedHeads, HeadsError, KnownPersons, choose_heads, parse_boxes, to_fractions

PICTURE = torch.zeros(3, 100, 200, dtype=torch.uint8)


def never():
    raise AssertionError("the detector was not asked for")


@pytest.mark.parametrize(
    "given_boxes",
    [
        "0.1,0.2,0.3,0.4",
        " 0.1, 0.2 ,0.3,0.4;",
        [0.1, 0.2, 0.3, 0.4],
        [[0.1, 0.2, 0.3, 0.4]],
        "20,20,60,40",
        [[20, 20, 60, 40]],
    ],
)
def test_one_box_in_every_way_to_write_it(given_boxes):
    heads = choose_heads(given_boxes, never)("a.jpg", PICTURE)
    torch.testing.assert_close(heads, torch.tensor([[0.1, 0.2, 0.3, 0.4]]))


def test_several_boxes():
    assert parse_boxes("1,2,3,4; 5,6,7,8") == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_without_a_prompt_and_with_a_detector():
    assert choose_heads("none", never)("a.jpg", PICTURE).isnan().all()
    detector = FixedHeads([[0.0, 0.0, 1.0, 1.0]])
    assert choose_heads("detect", lambda: detector) is detector


def test_nothing_given_lists_the_ways():
    with pytest.raises(UserError, match=r"boxes.json.*--heads x0.*detect.*none"):
        choose_heads(None, never)


@pytest.mark.parametrize("wrong", ["a,b,c,d", "0.1,0.2,0.3", [[1, 2, 3]], [0.1, 0.2], "", [], 3, [["a"]], "nan,0,1,1"])
def test_what_is_no_box_is_refused(wrong):
    with pytest.raises(HeadsError, match="expected"):
        choose_heads(wrong, never)


@pytest.mark.parametrize(
    ("box", "unit", "message"),
    [
        ([0.5, 0.1, 0.3, 0.2], "fractions", "x0 < x1"),
        ([10, 50, 30, 50], "pixels", "y0 < y1"),
        ([210, 10, 230, 50], "pixels", "outside the picture of 200 x 100"),
        ([20, 20, 60, 40], "fractions", "outside the picture.*unit"),
        ([0.1, 0.1, 0.3, 1.2], "pixels", "less than 2 pixels.*unit"),
    ],
)
def test_a_box_that_does_not_fit_is_refused(box, unit, message):
    with pytest.raises(HeadsError, match=message):
        to_fractions([box], unit, (100, 200), "a.jpg")


@given(st.lists(st.floats(-300, 300), min_size=4, max_size=4))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_a_box_is_within_the_picture_or_refused(box):
    try:
        ((x0, y0, x1, y1),) = to_fractions([box], "pixels", (100, 200), "a.jpg").tolist()
    except HeadsError:
        return
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1


def write(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text if isinstance(text, str) else json.dumps(text))
    return file


def test_a_json_file_by_path_or_by_name_and_by_frame(tmp_path):
    boxes = {
        "a.jpg": [[20, 20, 60, 40]],
        "sub/b.jpg": [[0, 0, 20, 20], [20, 20, 60, 40]],
        "clip.mp4": {"5": [[20, 20, 60, 40]], "9": []},
    }
    heads = FileHeads(write(tmp_path, "boxes.json", {"unit": "pixels", "boxes": boxes}))
    torch.testing.assert_close(heads("a.jpg", PICTURE), torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    assert len(heads("deep/below/a.jpg", PICTURE)) == 1
    assert len(heads("sub/b.jpg", PICTURE)) == 2
    assert [len(heads("clip.mp4", PICTURE, frame)) for frame in (0, 4, 5, 8, 9, 99)] == [0, 0, 1, 1, 0, 0]
    with pytest.raises(HeadsError, match=r"no boxes for c.jpg; it has some for a.jpg, sub/b.jpg"):
        heads("c.jpg", PICTURE)


def test_a_csv_file_may_mix_units_and_begin_with_a_mark(tmp_path):
    text = "\ufeffimage,x0,y0,x1,y1,unit\na.jpg,20,20,60,40,pixels\na.jpg,0.1,0.2,0.3,0.4,fractions\n"
    heads = FileHeads(write(tmp_path, "boxes.csv", text))("a.jpg", PICTURE)
    torch.testing.assert_close(heads[0], heads[1])
    framed = "image,frame,x0,y0,x1,y1,unit\nv.mp4,3,20,20,60,40,pixels\n"
    assert len(FileHeads(write(tmp_path, "f.csv", framed))("v.mp4", PICTURE, 2)) == 0


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_file_may_say_who_is_who_in_a_video(tmp_path, form):
    first, second = [20, 20, 60, 40], [100, 20, 140, 40]
    frames = {"0": [{"person": 4, "box": first}, {"person": 0, "box": second}], "9": [{"person": 0, "box": first}]}
    document = {"unit": "pixels", "boxes": {"v.mp4": frames, "w.mp4": [first]}}
    rows = "image,frame,x0,y0,x1,y1,unit,person\nv.mp4,0,20,20,60,40,pixels,4\nv.mp4,0,100,20,140,40,pixels,0\n"
    rows += "v.mp4,9,20,20,60,40,pixels,0\nw.mp4,0,20,20,60,40,pixels,\n"
    heads = FileHeads(write(tmp_path, f"boxes.{form}", document if form == "json" else rows))
    assert isinstance(heads, KnownPersons)
    assert [heads.persons("v.mp4", frame) for frame in (0, 8, 9)] == [[4, 0], [4, 0], [0]]
    torch.testing.assert_close(heads("v.mp4", PICTURE, 9), torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    torch.testing.assert_close(heads("v.mp4", PICTURE)[1], torch.tensor([0.5, 0.2, 0.7, 0.4]))
    assert heads.persons("w.mp4", 0) is None


def test_a_row_for_each_frame_is_found_without_walking_through_all(tmp_path):
    frames = 20_000
    rows = "".join(f"v.mp4,{f},{f % 90},20,{f % 90 + 20},40,pixels,3\n" for f in reversed(range(frames)))
    heads = FileHeads(write(tmp_path, "boxes.csv", "image,frame,x0,y0,x1,y1,unit,person\n" + rows))
    start = time.process_time()
    for frame in range(0, frames, 4):
        assert heads.persons("v.mp4", frame) == [3]
        assert float(heads("v.mp4", PICTURE, frame)[0, 0]) == pytest.approx(frame % 90 / 200)
    assert time.process_time() - start < 1  # 0.1 s; looking at every row each time takes 2 s and more


def test_nobody_before_the_first_frame_is_nobody_also_where_persons_are_known(tmp_path):
    boxes = {"v.mp4": {"5": [{"person": 1, "box": [20, 20, 60, 40]}], "9": []}}
    heads = FileHeads(write(tmp_path, "boxes.json", {"unit": "pixels", "boxes": boxes}))
    assert [heads.persons("v.mp4", frame) for frame in (0, 5, 9)] == [[], [1], []]


B = [1, 2, 30, 40]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([{"person": 1, "box": B}, B], "1 of its 2 boxes say which person"),
        ({"0": [{"person": 1, "box": B}], "7": [B]}, "1 of its 2 boxes"),
        ({"3": [{"person": 1, "box": B}, {"person": 1, "box": B}]}, "person 1 has two boxes from frame 3 on"),
        ([{"person": -1, "box": B}], "the person is -1; expected a number"),
        ([{"person": True, "box": B}], "the person is True"),
        ([{"person": 1.5, "box": B}], "the person is 1.5"),
        ([{"person": "Ann", "box": B}], "the person is 'Ann'"),
        ([{"person": 1}], "holds None where a box should be"),
    ],
)
def test_persons_that_make_no_sense_are_refused(tmp_path, boxes, message):
    with pytest.raises(HeadsError, match=message) as caught:
        FileHeads(write(tmp_path, "boxes.json", {"unit": "pixels", "boxes": {"v.mp4": boxes}}))
    assert "boxes.json, v.mp4" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image,x0,y0,x1,y1,unit,person\na,1,2,3,4,pixels,x\n", "line 2: the person is 'x'"),
        ("a.json", "{", "is not JSON"),
        ("a.json", [], 'no "boxes"'),
        ("a.json", {"unit": "pixels", "boxes": []}, 'no "boxes"'),
        ("a.json", {"boxes": {}}, "unit is None; expected pixels or fractions"),
        ("a.json", {"unit": "px", "boxes": {}}, "unit is 'px'"),
        ("a.json", {"unit": "pixels", "boxes": {"a": 3}}, "a is 3; expected a list"),
        ("a.json", {"unit": "pixels", "boxes": {"a": [[1, 2, 3]]}}, "expected four numbers"),
        ("a.json", {"unit": "pixels", "boxes": {"a": [None]}}, "expected four numbers"),
        ("a.json", {"unit": "pixels", "boxes": {"a": {"x": []}}}, "'x' is no frame"),
        ("a.csv", "image,x0,y0,x1,y1\n", "no column unit"),
        ("a.csv", "", "no column image, x0"),
        ("a.csv", "image,x0,y0,x1,y1,unit\na,1,2,x,4,pixels\n", "line 2 holds"),
        ("a.csv", "image,x0,y0,x1,y1,unit\na,1,2\n", "line 2 holds"),
    ],
)
def test_a_file_of_the_wrong_form_is_refused_with_its_name(tmp_path, name, text, message):
    with pytest.raises(HeadsError, match=message) as caught:
        FileHeads(write(tmp_path, name, text))
    assert name in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.json can't be read \(No such file"):
        FileHeads(tmp_path / "none.json")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="not text"):
        FileHeads(tmp_path / "b.csv")
