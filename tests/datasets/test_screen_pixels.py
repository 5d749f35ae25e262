"""Boxes that move, light that changes, and what covers eyes."""

from dataclasses import replace

import pytest
import torch

from gaze.datasets.crops import crop_box
from gaze.datasets.screen_augment_boxes import BoxJitter, ScaleJitter
from gaze.datasets.screen_occlusions import Erasing, Glare, opening
from gaze.datasets.screen_photometric import Photometric
from gaze.datasets.screen_turns import rolled
from gaze.datasets.screen_view import Augmentation, Picture, cut, geometry
from tests.datasets.screen_views import BOXES, FRAME, generator, view


def coverage(before, after, stream, eye):
    """The share of an eye's opening whose pixels changed in a stream."""
    changed = (before.pictures[stream].image != after.pictures[stream].image).any(0)
    x0, y0, w, h = before.boxes[stream]
    x, y, ow, oh = opening(before.boxes[eye])
    height, width = changed.shape
    across = x0 + (torch.arange(width) + 0.5) * w / width
    down = y0 + (torch.arange(height) + 0.5) * h / height
    inside = ((across >= x) & (across < x + ow)) & ((down >= y) & (down < y + oh))[:, None]
    return (changed & inside).sum().item() / inside.sum().item()


@pytest.mark.parametrize("augmentation", [BoxJitter(), ScaleJitter(), Photometric(), Erasing(), Glare()])
def test_augmentations_are_augmentations(augmentation):
    assert isinstance(augmentation, Augmentation)


def test_jitter_moves_boxes_by_themselves_and_the_geometry_follows():
    before = view()
    after = BoxJitter(face=0.1, eye=0.2)(before, generator())
    shifts = {
        s: [(a - b) / side for a, b, side in zip(after.boxes[s][:2], box[:2], box[2:], strict=False)]
        for s, box in BOXES.items()
    }
    assert all(
        0 < abs(shift) <= (0.1 if stream == "face" else 0.2) for stream, both in shifts.items() for shift in both
    )
    assert len({round(shift, 6) for both in shifts.values() for shift in both}) == 6
    for stream, rows in zip(BOXES, geometry(after).view(3, 4), strict=False):
        x, y, w, h = after.boxes[stream]
        assert rows.tolist() == pytest.approx([x / FRAME[0], y / FRAME[1], w / FRAME[0], h / FRAME[1]])
    assert torch.equal(after.targets.point, before.targets.point)


def test_a_moved_box_shows_what_is_there():
    before = view(size=24)
    moved = view(size=24, boxes=BOXES | {"left_eye": (66.0, 47.0, 24.0, 24.0)})
    frame = before.pictures["face"].image
    assert torch.equal(cut(moved).pictures["left_eye"].image, frame[:, 47:71, 66:90])


def test_scale_keeps_the_middle():
    after = ScaleJitter(0.1)(view(), generator(3))
    stretched = ScaleJitter(0.0, aspect=0.6)(view(), generator(3))
    for stream, (x, y, w, h) in view().boxes.items():
        x1, y1, w1, h1 = stretched.boxes[stream]
        assert (x1 + w1 / 2, y1 + h1 / 2, w1 * h1) == pytest.approx((x + w / 2, y + h / 2, w * h))
        assert 1 / 1.6 <= (h1 / w1) / (h / w) <= 1.6
        assert h1 / w1 != pytest.approx(h / w)
    for stream, (x, y, w, h) in BOXES.items():
        nx, ny, nw, nh = after.boxes[stream]
        assert nw / w == pytest.approx(nh / h)
        assert 0.9 <= nw / w <= 1.1
        assert nw != w
        assert (nx + nw / 2, ny + nh / 2) == pytest.approx((x + w / 2, y + h / 2))


def test_a_stored_crop_with_a_margin_moves_as_the_frame_does():
    whole = view(size=24)
    x, y, w, h = BOXES["left_eye"]
    frame = whole.pictures["face"].image
    wide = Picture(frame[:, int(y) - 6 : int(y + h) + 6, int(x) - 6 : int(x + w) + 6], (x - 6, y - 6, w + 12, h + 12))
    stored = view(size=24, pictures=whole.pictures | {"left_eye": wide})
    boxes = BOXES | {"left_eye": (x + 2.5, y - 1.25, w, h)}
    a, b = (cut(v.__class__(**vars(v) | {"boxes": boxes})).pictures["left_eye"].image for v in (whole, stored))
    assert (a.int() - b.int()).abs().max() <= 1


@pytest.mark.parametrize("box", [(40.0, 30.0, 40.0, 58.0), (36.0, 50.0, 56.0, 40.0), (40.0, 50.0, 48.0, 48.0)])
def test_a_stored_crop_rolls_as_the_frame_does_whatever_its_box_s_aspect(box):
    whole = view(size=40, boxes=BOXES | {"face": box})
    x, y, w, h = box
    outer = (x - 0.25 * w, y - 0.25 * h, 1.5 * w, 1.5 * h)
    wide = Picture(crop_box(whole.pictures["face"].image, outer, (120, 120)), outer)
    stored = replace(whole, pictures=whole.pictures | {"face": wide})
    for angle in (0.0, -0.12, 0.09):
        for change in (BoxJitter(0.0, 0.0), BoxJitter(0.05, 0.0)):
            a, b = (cut(change(rolled(v, angle), generator(1))).pictures["face"].image.float() for v in (whole, stored))
            assert (a - b).abs().mean() < 1.2, angle  # what one more interpolation leaves; sheared it was 4.6 and more


def test_light_is_one_for_all_streams():
    """The same colour becomes the same colour in face and eyes."""
    flat = torch.tensor([200, 120, 40], dtype=torch.uint8)[:, None, None].expand(3, 24, 24).contiguous()
    pictures = {stream: Picture(flat, box) for stream, box in BOXES.items()}
    for seed in range(5):
        after = Photometric(blur=0, jpeg=(), noise=0, probability=1.0)(view(pictures=pictures), generator(seed))
        colours = {tuple(picture.image[:, 3, 3].tolist()) for picture in after.pictures.values()}
        assert len(colours) == 1
        assert colours != {(200, 120, 40)}


def test_noise_is_every_streams_own():
    grey = torch.full((3, 24, 24), 128, dtype=torch.uint8)
    before = view(pictures={stream: Picture(grey, box) for stream, box in BOXES.items()})
    only_noise = Photometric(0, 0, 0, 0, 0, blur=0, jpeg=(), noise=0.05, probability=1.0)
    images = [p.image for p in only_noise(before, generator(4)).pictures.values()]
    assert not torch.equal(images[1], images[2])
    assert all(0 < (image.float() - 128).std() <= 0.05 * 255 * 1.1 for image in images)


def test_noise_of_any_two_seeds_differs_in_all_streams():
    numbers = torch.tensor([[1.0, 1.0, 1.0, *torch.eye(3).flatten(), 0.0, 0.02, 2.0**24 - n, 0.0] for n in (1, 2)])
    streams = {stream: torch.full((2, 3, 8, 8), 0.5) for stream in ("face", "left_eye", "right_eye")}
    for first, second in Photometric().apply(streams, numbers, numbers).values():
        assert not torch.equal(first, second)


def test_each_change_alone():
    sharp = cut(view(size=48))
    nothing = Photometric(0, 0, 0, 0, 0, blur=0, jpeg=(), noise=0, probability=1.0)(sharp, generator())
    assert all((p.image.int() - sharp.pictures[s].image.int()).abs().max() <= 1 for s, p in nothing.pictures.items())
    blurred = Photometric(0, 0, 0, 0, 0, blur=1.5, jpeg=(), noise=0, probability=1.0)(sharp, generator(1))
    rough = [p.image.float().diff(dim=-1).abs().mean() for p in (sharp.pictures["face"], blurred.pictures["face"])]
    assert rough[1] < rough[0]
    packed = Photometric(0, 0, 0, 0, 0, blur=0, jpeg=(40, 40), noise=0, probability=1.0)(sharp, generator(1))
    assert 0 < (packed.pictures["face"].image.float() - sharp.pictures["face"].image.float()).abs().mean() < 20
    never = Photometric(probability=0.0)(sharp, generator())
    assert all(torch.equal(p.image, sharp.pictures[s].image) for s, p in never.pictures.items())


def test_patches_and_glare_leave_most_of_each_eye():
    before = cut(view(size=60))
    shares = []
    for seed in range(30):
        for change in (Erasing(0.05, 0.3, probability=1.0), Glare(probability=1.0)):
            after = change(before, generator(seed))
            pairs = [("left_eye",) * 2, ("right_eye",) * 2, ("face", "left_eye"), ("face", "right_eye")]
            # an eye's opening is few pixels high in a face, of which one may count too much
            assert all(coverage(before, after, *pair) <= (0.34 if pair[0] != "face" else 0.45) for pair in pairs)
            shares += [
                (before.pictures[s].image != p.image).any(0).float().mean().item() for s, p in after.pictures.items()
            ]
    assert sum(share > 0.02 for share in shares) > len(shares) / 3


def test_a_face_whose_eyes_nobody_placed_is_not_erased():
    lost = cut(view(placed=frozenset({"left_eye"})))
    for seed in range(10):
        after = Erasing(probability=1.0)(lost, generator(seed))
        assert torch.equal(after.pictures["face"].image, lost.pictures["face"].image)


def test_glare_is_the_same_in_eye_and_face():
    dark = torch.zeros(3, 24, 24, dtype=torch.uint8)
    before = view(pictures={stream: Picture(dark, box) for stream, box in BOXES.items()})
    after = Glare(probability=1.0)(before, generator(2))
    lit = after.pictures["face"].image.sum() > 0, after.pictures["left_eye"].image.sum() > 0
    assert all(lit)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BoxJitter(face=0.5),
        lambda: ScaleJitter(1.0),
        lambda: Photometric(brightness=2.0),
        lambda: Photometric(jpeg=(95, 40)),
        lambda: Photometric(blur=-1.0),
        lambda: Erasing(0.3, 0.2),
        lambda: Glare(strength=2.0),
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        wrong()
