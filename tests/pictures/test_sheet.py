"""Sheets hold their pictures unchanged, in order."""

import pytest
import torch

from gaze.datasets.image import read_image
from gaze.pictures.sheet import PAPER, fit, save_picture, sheet


def plain(value, height, width):
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_every_picture_is_on_the_sheet_whole():
    pictures = [plain(10, 50, 80), plain(20, 50, 30), plain(30, 50, 60)]
    whole = sheet(pictures, ["a", "b", "c"], "title", columns=2)
    for picture in pictures:
        assert (whole[0] == picture[0, 0, 0]).sum() == picture[0].numel()
    rows, columns = [], []
    for value in (10, 20, 30):
        where = (whole[0] == value).nonzero()
        rows.append(int(where[0, 0]))
        columns.append(int(where[:, 1].min()))
    assert rows[0] == rows[1] < rows[2]
    assert columns[0] == columns[2] < columns[1]
    assert (whole[:, 0] == PAPER).all()


def test_captions_are_one_for_each_picture():
    with pytest.raises(ValueError, match="2 pictures and 1 captions"):
        sheet([plain(0, 4, 4)] * 2, ["one"])
    with pytest.raises(ValueError, match="0 pictures"):
        sheet([])


def test_a_picture_is_fitted_to_a_height_and_to_its_true_aspect():
    assert fit(plain(0, 50, 80), 100).shape == (3, 100, 160)
    assert fit(plain(0, 64, 64), 100, aspect=1.5).shape == (3, 100, 150)


def test_a_saved_picture_is_read_back(tmp_path):
    picture = torch.randint(0, 256, (3, 7, 9), dtype=torch.uint8)
    save_picture(picture, tmp_path / "new" / "a.png")
    assert torch.equal(read_image(tmp_path / "new" / "a.png"), picture)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]
