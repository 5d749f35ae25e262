"""Mirrors and rolls: what they do to labels, by hand, and that doing them again undoes them."""

import math

import pytest
import torch

from gaze.datasets.screen_augment import Flip, LabelNoise, QuarterTurn, Roll, UpsideDown
from gaze.datasets.screen_turns import mirrored, quarter_turned, rolled
from gaze.datasets.screen_view import Augmentation, cut, geometry
from gaze.geometry import plane_to_camera, turn_with_image
from gaze.landmarks.points import DEFAULT
from tests.datasets.screen_views import BOXES, FRAME, generator, same, view


@pytest.mark.parametrize("augmentation", [Flip(), UpsideDown(), QuarterTurn(), Roll(), LabelNoise()])
def test_augmentations_are_augmentations(augmentation):
    assert isinstance(augmentation, Augmentation)


def test_a_mirror_by_hand():
    before = cut(view())
    after = mirrored(before)
    assert after.targets.point.tolist() == [-1.0, -2.0]
    assert after.targets.centre.tolist() == [-0.5, -5.0]
    assert after.targets.origin.tolist() == [-2.0, 3.0, 40.0]
    assert after.targets.gaze[0] == -before.targets.gaze[0]
    assert after.targets.gaze[2] == before.targets.gaze[2]
    assert after.targets.screen_cm.tolist() == [6.0, 10.0]
    assert after.orientation == 4
    assert after.targets.orientation == 4
    x, y, w, h = BOXES["left_eye"]
    assert after.boxes["right_eye"] == (FRAME[0] - x - w, y, w, h)
    assert torch.equal(after.pictures["right_eye"].image, before.pictures["left_eye"].image.flip(-1))
    assert torch.equal(after.pictures["face"].image, before.pictures["face"].image.flip(-1))
    # gravity and acceleration are arrows, the rate of rotation between them an axis
    assert after.imu.tolist() == [-1, 2, 3, 4, -5, -6, -7, 8, 9]


def test_a_mirror_exchanges_the_landmarks_of_left_and_right():
    before, after = view(), mirrored(view())
    left, right = DEFAULT.index(263), DEFAULT.index(33)
    x, y = before.landmarks[left].tolist()
    assert after.landmarks[right].tolist() == pytest.approx([1 - x, y])


def test_half_a_turn_by_hand():
    before = cut(view())
    after = quarter_turned(before, 2)
    assert after.targets.point.tolist() == pytest.approx([-1.0, 2.0])
    assert after.targets.origin.tolist() == pytest.approx([-2.0, -3.0, 40.0])
    assert after.targets.screen_cm.tolist() == [6.0, 10.0]
    assert after.orientation == 3
    x, y, w, h = BOXES["left_eye"]
    assert after.boxes["left_eye"] == pytest.approx((FRAME[0] - x - w, FRAME[1] - y - h, w, h))
    assert torch.equal(after.pictures["left_eye"].image, before.pictures["left_eye"].image.flip(-1, -2))
    torch.testing.assert_close(after.landmarks, 1 - before.landmarks)
    assert after.imu.tolist() == pytest.approx([-1, -2, 3, -4, -5, 6, -7, -8, 9])


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_quarter_turn_by_hand(quarters):
    before = cut(view())
    after = quarter_turned(before, quarters)
    angle = torch.tensor(quarters * math.pi / 2)
    torch.testing.assert_close(after.targets.point, turn_with_image(before.targets.point, angle))
    # what a user sees at the right of the screen is left in the picture: +90 degrees take it down there, up here
    assert quarters == 3 or after.targets.point.tolist() == pytest.approx([-2.0, -1.0])
    assert after.targets.screen_cm.tolist() == [10.0, 6.0]
    assert after.targets.screen_px.tolist() == [1000.0, 600.0]
    assert after.frame_size == (FRAME[1], FRAME[0])
    x, y, w, h = BOXES["left_eye"]
    assert quarters == 3 or after.boxes["left_eye"] == pytest.approx((y, FRAME[0] - x - w, h, w))
    assert torch.equal(after.pictures["left_eye"].image, before.pictures["left_eye"].image.rot90(quarters, (-2, -1)))


def test_the_turned_gaze_still_leads_from_origin_to_point():
    for change in (mirrored, lambda v: rolled(v, 0.3), lambda v: quarter_turned(v, 1), lambda v: quarter_turned(v, 2)):
        before = view()
        towards = plane_to_camera(before.targets.point) - before.targets.origin
        targets = before.targets.__class__(**vars(before.targets) | {"gaze": towards})
        after = change(view(targets=targets)).targets
        torch.testing.assert_close(plane_to_camera(after.point) - after.origin, after.gaze)


def test_doing_it_again_undoes_it():
    before = cut(view())
    assert same(mirrored(mirrored(before)), before)
    assert same(quarter_turned(quarter_turned(before, 2), 2), before)
    assert same(quarter_turned(quarter_turned(before, 1), 3), before)
    assert same(cut(rolled(rolled(view(), 0.05), -0.05)), before, levels=1)
    there = mirrored(quarter_turned(before, 2))
    assert same(quarter_turned(mirrored(before), 2), there)


def test_a_large_roll_is_a_quarter_turn():
    """Of a square frame, whose shape a turn keeps."""
    square = {"frame_size": (120.0, 120.0)}
    picture = view().pictures["face"]
    crop = picture.__class__(picture.image[:, :120], (0.0, 0.0, 120.0, 120.0))
    before = view(pictures=dict.fromkeys(BOXES, crop), **square)
    after, turned = cut(rolled(before, math.pi / 2)), quarter_turned(before, 1)
    assert same(after, turned.__class__(**vars(turned) | {"targets": after.targets}), levels=2)
    torch.testing.assert_close(after.targets.point, turned.targets.point)


def test_a_roll_turns_the_frame_about_its_middle():
    """What is cut after a roll is what the turned frame shows there."""
    before = view(size=40)
    after = cut(rolled(before, 0.08))
    image = before.pictures["face"].image
    from torchvision.transforms.v2 import functional as pixels

    whole = pixels.rotate(image, math.degrees(0.08), interpolation=pixels.InterpolationMode.BILINEAR)
    x, y, w, h = after.boxes["face"]
    expected = pixels.resized_crop(whole, round(y), round(x), round(h), round(w), [40, 40])
    assert (after.pictures["face"].image.int() - expected.int()).abs().float().mean() < 3
    assert after.boxes["left_eye"][2:] == BOXES["left_eye"][2:]


def test_a_roll_of_stored_crops_turns_them_about_their_middles_and_moves_them():
    whole = view(size=24)
    stored = cut(whole)
    by_frame, by_crop = cut(rolled(whole, 0.08)), cut(rolled(stored, 0.08))
    assert by_frame.boxes == by_crop.boxes
    inner = slice(4, -4)  # corners come from beyond the stored crop
    for stream in BOXES:
        a, b = by_frame.pictures[stream].image[:, inner, inner], by_crop.pictures[stream].image[:, inner, inner]
        assert (a.int() - b.int()).abs().float().mean() < 5  # the stored crop is interpolated twice


def test_crops_of_unknown_place_turn_about_themselves_and_keep_no_geometry():
    known = cut(view())
    pictures = {s: p.__class__(p.image, (0.0, 0.0, 24.0, 24.0)) for s, p in known.pictures.items()}
    lost = view(pictures=pictures, boxes={s: p.covers for s, p in pictures.items()}, placed=frozenset(), landmarks=None)
    for change in (mirrored, lambda v: rolled(v, 0.1), lambda v: quarter_turned(v, 1)):
        after = cut(change(lost))
        assert geometry(after).isnan().all()
        assert all(picture.image.shape == (3, 24, 24) for picture in after.pictures.values())
    assert torch.equal(mirrored(lost).pictures["left_eye"].image, known.pictures["right_eye"].image.flip(-1))


def test_what_cannot_be_mirrored_is_said():
    with pytest.raises(ValueError, match="both left_eye and right_eye"):
        mirrored(view(pictures={"left_eye": view().pictures["left_eye"]}))
    with pytest.raises(ValueError, match="mirror permutation"):
        mirrored(view(mirror=None))
    with pytest.raises(ValueError, match="needs square samples"):
        quarter_turned(view(sizes=dict.fromkeys(BOXES, (24, 36))), 1)


def test_share_and_size_of_draws():
    flips = [Flip(0.25)(view(), generator(seed)).orientation == 4 for seed in range(200)]
    assert 30 < sum(flips) < 70
    turned = {QuarterTurn(1.0)(view(), generator(seed)).targets.point[0].item() for seed in range(8)}
    assert sorted(round(x) for x in turned) == [-2, 2]
    angles = [Roll(5.0, 1.0)(view(), generator(seed)).turn for seed in range(50)]
    assert math.radians(4) < max(map(abs, angles)) <= math.radians(5)
    assert min(angles) < 0 < max(angles)
    moved = torch.stack([LabelNoise(0.1)(view(), generator(s)).targets.point for s in range(300)])
    assert moved.std(0).tolist() == pytest.approx([0.1, 0.1], rel=0.15)
    assert torch.equal(
        LabelNoise(0.1)(view(), generator(1)).targets.point, LabelNoise(0.1)(view(), generator(1)).targets.point
    )
