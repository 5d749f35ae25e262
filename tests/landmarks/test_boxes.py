"""Boxes from landmarks, and which landmarks give none."""

import math

import pytest
import torch

from gaze.geometry import points_from_px
from gaze.landmarks.boxes import eye_boxes, eyes_swapped, face_boxes, rejections, swapped_report

SIZE = torch.tensor([480, 640])


def face(corners=40.0):
    """Landmarks of a face 200 x 240 px around (320, 240); eyes `corners` px wide, the left at the image's right."""
    px = torch.full((478, 3), 240.0)
    px[:, 0] = 320
    px[10, 1], px[152, 1] = 120, 360
    px[234, 0], px[454, 0] = 220, 420
    for (outer, inner), x, side in (((33, 133), 270, -1), ((263, 362), 370, 1)):
        px[outer, 0], px[inner, 0] = x + side * corners / 2, x - side * corners / 2
        px[[outer, inner], 1] = 200
    return torch.cat([points_from_px(px[:, :2], SIZE), px[:, 2:]], 1)


def test_boxes_are_square_in_px_around_corners_and_mesh():
    left, right = eye_boxes(face(), SIZE)
    torch.testing.assert_close(left, torch.tensor([370 - 30, 200 - 30, 60.0, 60]))
    torch.testing.assert_close(right, torch.tensor([270 - 30, 200 - 30, 60.0, 60]))
    torch.testing.assert_close(face_boxes(face(), SIZE), torch.tensor([320 - 150, 240 - 150, 300.0, 300]))
    assert eye_boxes(face(), SIZE, scale=2.0)[0][2] == pytest.approx(80)


def test_a_turned_eye_is_as_wide_as_it_is_long():
    tilted = face()
    tilted[263, :2], tilted[362, :2] = torch.tensor([400 / 640, 230 / 480]), torch.tensor([360 / 640, 200 / 480])
    left, _ = eye_boxes(tilted, SIZE)
    assert left.tolist() == pytest.approx([380 - 37.5, 215 - 37.5, 75, 75])


def test_rows_may_have_frames_of_their_own():
    several = torch.stack([face(), face()])
    sizes = torch.stack([SIZE, 2 * SIZE])
    left, _ = eye_boxes(several, sizes)
    torch.testing.assert_close(left[1], 2 * left[0])
    torch.testing.assert_close(face_boxes(several, sizes)[1], 2 * face_boxes(several, sizes)[0])


def test_what_is_rejected_and_why():
    rows = torch.stack([face(), face(corners=11), face(), face() * math.nan, face(), face()])
    rows[4, [33, 133, 263, 362]] = rows[4, [263, 362, 33, 133]]  # exchanged
    rows[5, 400, 0] = math.nan
    blendshapes = torch.zeros(6, 52)
    blendshapes[2, 10] = 0.61  # one eye suffices
    blendshapes[3] = math.nan
    expected = [None, "eyes too small", "blink", "no landmarks", "eyes swapped", "no landmarks"]
    assert rejections(rows, SIZE[None], blendshapes) == expected
    assert rejections(rows, SIZE[None], None)[2] is None
    assert rejections(rows, SIZE[None], blendshapes, least_corners_px=10, most_blink=0.7)[1:3] == [None, None]


@pytest.mark.parametrize(("turn", "move"), [(0, (50, 0)), (90, (0, 50)), (180, (-50, 0)), (270, (0, -50))])
def test_swapped_eyes_are_seen_in_the_upright_frame(turn, move):
    """`move` is from the right to the left eye in a frame that must still be turned counter-clockwise."""
    right = torch.tensor([100.0, 100, 40, 40])
    left = torch.tensor([100.0 + move[0], 100 + move[1], 40, 40])
    assert not eyes_swapped(left, right, turn)
    assert eyes_swapped(right, left, turn)
    assert not eyes_swapped(left * math.nan, right, turn)


def test_the_report_says_how_many_and_what_to_do():
    assert swapped_report(torch.tensor([False]), ["a"]) is None
    told = swapped_report(torch.tensor([False, True, True, False]), list("abcd"))
    assert told.startswith("2 of 4 samples (50%) have the left eye at the image's left of the right eye, as b, c;")
    assert "exchange the two columns" in told
