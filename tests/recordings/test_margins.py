"""Margins around the boxes of stored crops: how large, agreed on by a table, and cut away where nobody wants them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gaze.errors import UserError
from gaze.recordings.folder_csv import FolderCsv
from gaze.recordings.gazecapture_prepared import GazeCapturePrepared
from gaze.recordings.gazehub_2d import GazeHub2D
from gaze.recordings.lag_features import COLUMNS, PICTURES, lag_features
from gaze.recordings.margins import inner, one_margin, outer, stored_side
from gaze.recordings.reading import RowReader, table_files
from gaze.recordings.schema import header
from gaze.recordings.writer import ScreenWriter
from tests.datasets.screen_views import png
from tests.recordings.miniature import sample


def write(file, margin, **changes):
    with ScreenWriter(
        file, dataset="mini", boxes="made up", crop={} if margin is None else {"margin": margin}
    ) as table:
        table.write([sample(**changes)])
    return file


def headers(*files):
    return {file: header(file) for file in files}


def test_a_box_is_in_the_middle_of_what_is_stored_of_it():
    box = (10.0, 20.0, 30.0, 50.0)
    assert outer(box, 0.2) == pytest.approx((4.0, 10.0, 42.0, 70.0))
    assert inner(outer(box, 0.2), 0.2) == pytest.approx(box)


@pytest.mark.parametrize(
    ("side", "margin", "block", "stored"),
    [
        (448, 0.1875, 8, 616),
        (128, 0.1875, 8, 176),
        (448, 0.2, 8, 632),
        (40, 0.2, 1, 56),
        (100, 0.1, 1, 120),
        (45, 0.0, 8, 45),
    ],
)
def test_crops_grow_by_their_margin(side, margin, block, stored):
    assert stored_side(side, margin, block) == stored


def test_a_table_has_one_margin(tmp_path):
    for name, margin in (("a", 0.25), ("b", 0.25)):
        write(tmp_path / f"{name}.parquet", margin)
    assert one_margin(headers(*table_files(tmp_path))) == 0.25
    write(tmp_path / "c.parquet", None)
    with pytest.raises(
        UserError, match=r"c.parquet: its crops reach 0 of a box .* those of a.parquet 0.25; expected one"
    ):
        one_margin(headers(*table_files(tmp_path)))
    for wrong in ("wide", -0.1, 3):
        with pytest.raises(UserError, match="of a box beyond it; expected 0 to 1"):
            one_margin(headers(write(tmp_path / "d.parquet", wrong)))


def test_readers_say_whether_their_crops_are_finished(tmp_path):
    assert GazeCapturePrepared.finished_crops
    assert GazeHub2D.finished_crops
    columns = {"subject": "s", "x": "x", "y": "y", "image": "i", "left_eye": "l"}
    layouts = {
        layout: FolderCsv(str(tmp_path), layout=layout, columns=columns) for layout in ("frame", "crops", "strip")
    }
    assert {layout: reader.finished_crops for layout, reader in layouts.items()} == {
        "frame": False,
        "crops": True,
        "strip": True,
    }


def test_label_lag_is_looked_for_in_the_eyes_and_not_around_them(tmp_path):
    eye = torch.randint(0, 256, (3, 20, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    wide = torch.full((3, 30, 48), 255, dtype=torch.uint8)
    wide[:, 5:25, 8:40] = eye
    found = [
        lag_features(RowReader(write(tmp_path / f"{margin}.parquet", margin, **eyes), [*COLUMNS, *PICTURES]), [0])
        for margin, eyes in (
            (0.0, {"left_eye": png(eye), "right_eye": png(eye)}),
            (0.25, {"left_eye": png(wide), "right_eye": png(wide)}),
        )
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
