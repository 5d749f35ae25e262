"""Faults D1 to D10: everything injected is found before training, and reported together."""

import json
import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from gaze.datasets.faults import DatasetError
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.image import ImageError
from tests.datasets.folders import write_gazefollow_folder

RAW = "train_annotations_release.txt"
TEST = "test_annotations_release.txt"
JSON = "train_preprocessed.json"
COLUMN = {
    "path": 0,
    "eye_x": 6,
    "gaze_x": 8,
    "gaze_y": 9,
    "x_min": 10,
    "y_min": 11,
    "x_max": 12,
    "y_max": 13,
    "inout": 14,
}


def open_split(root: Path, split: str = "train", **options) -> GazeFollow:
    return GazeFollow(str(root), split, (32, 32), **{"val_fraction": 0.0, "skip_limit": 1.0, **options})


def edit(root: Path, row: int, file: str = RAW, **cells: object) -> None:
    """Change cells of one line, by column name."""
    lines = (root / file).read_text().splitlines()
    values = lines[row].split(",")
    for column, value in cells.items():
        values[COLUMN[column]] = str(value)
    lines[row] = ",".join(values)
    (root / file).write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Eight images of one person each: line n of the file is about image n."""
    write_gazefollow_folder(tmp_path, images={"train": 8, "test": 1}, people=1)
    return tmp_path


ROW_FAULTS = {
    "not a number": ({"gaze_x": "left"}, "gaze_x is 'left'; expected a finite number"),
    "NaN": ({"x_min": "nan"}, "x_min is 'nan'"),
    "infinite": ({"gaze_y": "inf"}, "gaze_y is 'inf'"),
    "overflow": ({"gaze_y": "1e999"}, "gaze_y is '1e999'"),
    "empty cell": ({"y_max": ""}, "y_max is ''"),
    "zero area": ({"x_min": 10, "x_max": 10}, "no area; expected x_min < x_max"),
    "box outside": ({"x_min": 70, "x_max": 80}, "outside the image; expected one that meets 64 x 48"),
    "box left of the image": ({"x_min": -9, "x_max": -2}, "outside the image"),
    "gaze outside": ({"gaze_x": 1.09}, "gaze (1.09"),
    "negative gaze": ({"gaze_x": -1, "gaze_y": -1}, "outside the image but marked inside"),
    "inout": ({"inout": 7}, "inout is 7; expected 1, 0 or -1"),
    "missing image": ({"path": "train/none.png"}, "no such file"),
    "folder for an image": ({"path": "train"}, "is a folder"),
    "climbing path": ({"path": "../x.png"}, "climbs with '..'"),
    "absolute path": ({"path": "/etc/passwd"}, "is absolute"),
}


@pytest.mark.fault("D7")
@pytest.mark.parametrize("name", ROW_FAULTS)
def test_a_faulty_row_is_named_and_can_be_skipped(folder, name):
    cells, message = ROW_FAULTS[name]
    edit(folder, 3, **cells)
    with pytest.raises(DatasetError) as error:
        open_split(folder)
    assert "has 1 fault" in str(error.value)
    assert f"{RAW}:line 4: " in str(error.value)
    assert message in str(error.value)
    assert "on_corrupt=skip" in str(error.value)
    dataset = open_split(folder, on_corrupt="skip")
    assert len(dataset) == 7
    assert len(dataset.faults) == 1


@pytest.mark.fault("D7")
def test_all_faults_are_reported_together_and_skipped_with_a_count(folder, caplog):
    injected = list(ROW_FAULTS.values())[:6]
    for row, (cells, _) in enumerate(injected):
        edit(folder, row, **cells)
    with pytest.raises(DatasetError) as error:
        open_split(folder)
    for _, message in injected:
        assert message in str(error.value)
    with caplog.at_level(logging.WARNING):
        dataset = open_split(folder, on_corrupt="skip")
    assert len(dataset) == 2
    assert len(dataset.faults) == 6
    assert "6 faults" in caplog.text


def test_a_long_report_shows_twenty_and_counts_the_rest(tmp_path):
    write_gazefollow_folder(tmp_path, images={"train": 30}, people=1)
    for file in (tmp_path / "train").iterdir():
        file.unlink()
    with pytest.raises(DatasetError) as error:
        open_split(tmp_path)
    assert "has 30 faults" in str(error.value)
    assert "and 10 more" in str(error.value)
    assert str(error.value).count("no such file") == 20


@pytest.mark.fault("D7")
def test_skipping_is_bounded(folder):
    edit(folder, 0, inout=7)
    edit(folder, 1, inout=7)
    with pytest.raises(DatasetError, match=r"more than skip_limit=0\.1 of its 8 rows"):
        open_split(folder, on_corrupt="skip", skip_limit=0.1)
    assert len(open_split(folder, on_corrupt="skip", skip_limit=0.25)) == 6


@pytest.mark.fault("D7")
def test_boxes_with_exchanged_corners_are_repaired_and_edges_clamped(folder):
    expected = open_split(folder)[2].inputs.head_bbox
    x_min, x_max = (expected[0, [0, 2]] * 64).tolist()
    edit(folder, 2, x_min=x_max, x_max=x_min)
    torch.testing.assert_close(open_split(folder)[2].inputs.head_bbox, expected)
    edit(folder, 2, x_min=-5, x_max=1000)
    assert open_split(folder)[2].inputs.head_bbox[0, [0, 2]].tolist() == [0.0, 1.0]


@pytest.mark.fault("D7")
@pytest.mark.parametrize("line", ["a,b,c", "x" * 100, ",".join("9" * 100_000), "train/1.png" + ",1" * 15])
def test_lines_with_the_wrong_number_of_columns(folder, line):
    with (folder / RAW).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DatasetError, match=rf"{RAW}:line 9: {line.count(',') + 1} columns; expected 17 columns"):
        open_split(folder)


@pytest.mark.fault("D7")
def test_text_that_is_not_utf8_and_mixed_line_ends(folder):
    lines = (folder / RAW).read_bytes().splitlines()
    (folder / RAW).write_bytes(b"\xef\xbb\xbf" + lines[0] + b"\r\n\r\n" + lines[1] + b"\r" + b"\n".join(lines[2:]))
    assert len(open_split(folder)) == 8
    (folder / RAW).write_bytes(b"\n".join([*lines[:3], lines[3].replace(b"none", b"\xff\xfe")]))
    with pytest.raises(DatasetError, match="line 4: unreadable text"):
        open_split(folder)


def test_quoted_names_may_hold_commas(folder):
    (folder / "train" / "a, b.png").write_bytes((folder / "train" / "00000000.png").read_bytes())
    edit(folder, 0, path='"train/a, b.png"')
    dataset = open_split(folder)
    assert "train/a, b.png" in [dataset.name(i) for i in range(len(dataset))]


@pytest.mark.fault("D7")
def test_repeated_rows_and_images(folder, tmp_path):
    text = (folder / RAW).read_text()
    (folder / RAW).write_text(text + text.splitlines()[2] + "\n")
    with pytest.raises(DatasetError, match=r"line 9: repeats an earlier row about train/00000002\.png"):
        open_split(folder)
    assert len(open_split(folder, on_corrupt="skip")) == 8


def test_answers_of_a_test_head_agree_on_its_box(tmp_path):
    write_gazefollow_folder(tmp_path, images={"test": 2}, people=1, annotators=3)
    edit(tmp_path, 4, file="test_annotations_release.txt", x_min=0.123)
    with pytest.raises(DatasetError, match="line 5: head box"):
        open_split(tmp_path, "test")
    assert open_split(tmp_path, "test", on_corrupt="skip").labels.points[1].isnan().any(dim=-1).sum() == 1


def json_folder(root: Path, change) -> Path:
    write_gazefollow_folder(root, images={"train": 4}, people=2, format="json")
    images = json.loads((root / JSON).read_text())
    change(images)
    (root / JSON).write_text(json.dumps(images))
    return root


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda j: j.append(j[0]), "image 5: path 'train/00000000.png' is listed before, as image 1"),
        (lambda j: j[1].update(heads=[]), "image 2: path 'train/00000001.png' has no heads"),
        (lambda j: j[1].pop("width"), "image 2: 'width' is missing"),
        (lambda j: j[2]["heads"][1].pop("bbox"), "image 3 head 2: 'bbox' is missing"),
        (lambda j: j[2]["heads"][1].update(bbox=[1, 2, 3]), "image 3 head 2: bbox"),
        (lambda j: j[2]["heads"][1].update(gazex_norm=[float("nan")]), "image 3 head 2: bbox"),
        (lambda j: j[2]["heads"][1].update(bbox=[5, 5, 5, 9]), "image 3: head box (5, 5, 5, 9) has no area"),
        (lambda j: j[3].update(width=65), "image 4: train/00000003.png is 64 x 48; expected 65 x 48"),
        (lambda j: j[3].update(path="../x.png"), "image 4: path '../x.png' climbs"),
    ],
)
def test_faults_of_the_preprocessed_file(tmp_path, change, message):
    with pytest.raises(DatasetError) as error:
        open_split(json_folder(tmp_path, change))
    assert f"{JSON}:{message}" in str(error.value)
    assert "has 1 fault" in str(error.value)


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ('{"a": 1}', "holds a JSON dict")])
def test_a_preprocessed_file_that_is_no_list(tmp_path, text, message):
    (tmp_path / JSON).write_text(text)
    with pytest.raises(DatasetError, match=message):
        open_split(tmp_path)


def test_an_old_bbox_norm_is_not_believed(tmp_path):
    dataset = open_split(json_folder(tmp_path, lambda j: j[0]["heads"][0].update(bbox_norm=[0, 0, 9, 9])))
    assert dataset[0].inputs.head_bbox.max() <= 1


@pytest.mark.fault("D10")
@pytest.mark.parametrize("format", ["raw", "json"])
def test_an_image_in_two_splits_is_a_leak(tmp_path, format):
    write_gazefollow_folder(tmp_path, images={"train": 4, "val": 2, "test": 2}, people=1, format=format)
    name = "preprocessed.json" if format == "json" else "annotations_release.txt"
    for split in ("val", "test"):
        file = tmp_path / f"{split}_{name}"
        file.write_text(file.read_text().replace(f"{split}/00000001.png", f"train/0000000{len(split) - 1}.png"))
    with pytest.raises(DatasetError) as error:
        open_split(tmp_path)
    assert f"train/00000002.png is also in val_{name}" in str(error.value)
    assert f"train/00000003.png is also in test_{name}" in str(error.value)
    dataset = open_split(tmp_path, on_corrupt="skip")
    assert [dataset.name(i) for i in range(len(dataset))] == ["train/00000000.png", "train/00000001.png"]


@pytest.mark.fault("D9")
def test_an_empty_split_is_refused(tmp_path):
    (tmp_path / RAW).write_text("\n")
    with pytest.raises(DatasetError, match="holds no head that can be used"):
        open_split(tmp_path)


def spoil(folder: Path, image: int) -> Path:
    """Overwrite pixels, and leave the header and the end."""
    file = folder / "train" / f"{image:08d}.png"
    data = bytearray(file.read_bytes())
    data[60:-20] = bytes(len(data) - 80)
    file.write_bytes(data)
    return file


@pytest.mark.fault("D1")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_an_image_that_is_cut_off_is_found_by_default(folder, suffix):
    edit(folder, 3, path=f"train/a.{suffix}")
    picture = Image.open(folder / "train" / "00000003.png")
    picture.save(folder / "train" / f"a.{suffix}")
    assert len(open_split(folder)) == 8
    data = (folder / "train" / f"a.{suffix}").read_bytes()
    (folder / "train" / f"a.{suffix}").write_bytes(data[: len(data) * 9 // 10])
    with pytest.raises(DatasetError, match=rf"line 4: .*a\.{suffix}: .* is damaged"):
        open_split(folder)
    skipping = open_split(folder, on_corrupt="skip", skip_limit=0.2)
    assert len(skipping) == 7
    assert len(skipping.faults) == 1


@pytest.mark.parametrize("format", ["raw", "json"])
def test_one_image_has_one_name_however_it_is_spelt(tmp_path, format):
    write_gazefollow_folder(tmp_path, images={"train": 3, "test": 1}, people=1, format=format)
    name = {"raw": RAW, "json": "train_preprocessed.json"}[format]
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace("train/00000001.png", "./train//00000001.png", 1))
    dataset = open_split(tmp_path)
    assert [dataset.name(i) for i in range(3)] == [f"train/{i:08d}.png" for i in range(3)]
    other = {"raw": TEST, "json": "test_preprocessed.json"}[format]
    text = (tmp_path / other).read_text()
    leak = text.replace("test/00000000.png", "train/./00000002.png")
    (tmp_path / other).write_text("\ufeff" + leak if format == "raw" else leak, encoding="utf-8")
    with pytest.raises(DatasetError, match="train/00000002.png is also in"):
        open_split(tmp_path)


def test_a_quoted_name_with_a_comma_is_a_leak_too(folder):
    for file, row in ((RAW, 2), (TEST, 0)):
        edit(folder, row, file, path='"train/a,b.png"')
    (folder / "train" / "00000002.png").rename(folder / "train" / "a,b.png")
    with pytest.raises(DatasetError, match="train/a,b.png is also in"):
        open_split(folder)


def test_pictures_are_as_stored_unless_asked_to_be_upright(tmp_path):
    write_gazefollow_folder(tmp_path, images={"train": 2}, people=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = tmp_path / "train" / "00000000.png"
    Image.open(picture).save(picture, exif=exif)
    assert open_split(tmp_path).picture(0).shape == (3, 48, 64)
    assert open_split(tmp_path).labels.size[0].tolist() == [48, 64]
    assert open_split(tmp_path, upright=True).picture(0).shape == (3, 64, 48)
    assert open_split(tmp_path, upright=True).labels.size[0].tolist() == [64, 48]


@pytest.mark.fault("D2")
def test_decode_check_finds_what_headers_do_not_show(folder):
    spoil(folder, 5)
    assert len(open_split(folder)) == 8
    with pytest.raises(DatasetError, match=r"line 6: .*00000005.png: the PNG is damaged"):
        open_split(folder, check="decode")
    assert len(open_split(folder, check="decode", on_corrupt="skip")) == 7


def test_labels_check_touches_no_image_of_a_preprocessed_split(tmp_path):
    root = json_folder(tmp_path, lambda j: None)
    for file in (root / "train").iterdir():
        file.unlink()
    assert len(open_split(root, check="labels")) == 4
    with pytest.raises(DatasetError, match="4 faults"):
        open_split(root, check="headers")


@pytest.mark.fault("D1")
def test_an_image_that_fails_in_training_is_named_or_replaced_by_the_next(folder, caplog):
    file = spoil(folder, 7)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ImageError, match=str(file)):
        open_split(folder).sample(7, generator)
    dataset = open_split(folder, on_corrupt="skip")
    with caplog.at_level(logging.WARNING):
        batch = dataset.sample(7, generator)
    assert batch.index.item() == 0
    assert torch.equal(batch.inputs.image, dataset[0].inputs.image)
    assert str(file) in caplog.text
    assert [str(fault).partition(";")[0] for fault in dataset.faults] == [
        "train/00000007.png: can't be read, and another image takes its place"
    ]
    with pytest.raises(ImageError):  # in evaluation a substitute would be counted twice
        dataset[7]


@pytest.mark.fault("D1")
def test_substitution_is_bounded(folder):
    dataset = open_split(folder, on_corrupt="skip")
    for image in range(8):
        spoil(folder, image)
    with pytest.raises(ImageError, match="damaged"):
        dataset.sample(2, torch.Generator().manual_seed(0))


@pytest.mark.fault("D12")
def test_an_image_that_changed_since_is_noticed(folder):
    dataset = open_split(folder)
    other = folder.parent / f"{folder.name}-other"
    write_gazefollow_folder(other, images={"train": 1}, size=(50, 60))
    (folder / "train" / "00000000.png").write_bytes((other / "train" / "00000000.png").read_bytes())
    with pytest.raises(ImageError, match="is 60 x 50 pixels, but was 64 x 48"):
        dataset[0]
