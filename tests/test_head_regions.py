"""Masks of head, face and eyes, and pictures on white."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.head_regions import mean_inside, on_white, region_mask
from gaze.types import FaceTargets

IMAGE = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))


def targets(seed, **changes):
    draws = torch.Generator().manual_seed(seed)
    masks = torch.rand(3, 2, 6, 5, generator=draws) < 0.5
    known = dict(zip(("head_mask", "left_eye_mask", "right_eye_mask"), masks, strict=True))
    return FaceTargets(IMAGE, **(known | changes))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_face_and_eyes_are_apart_and_make_up_the_head(seed):
    some = targets(seed)
    head, face, eyes = (region_mask(some, region) for region in ("head", "face", "eyes"))
    assert torch.equal(head, some.head_mask)
    assert torch.equal(eyes, some.left_eye_mask | some.right_eye_mask)
    assert not (face & eyes).any()
    assert torch.equal(face | (head & eyes), head)
    picture = on_white(IMAGE, face)
    outside = ~face[:, None].expand_as(picture)
    assert (picture[outside] == 1).all()
    assert torch.equal(picture[~outside], IMAGE[~outside])


@pytest.mark.parametrize("region", ["head", "face", "eyes"])
def test_without_any_mask_it_is_the_whole_picture(region):
    mask = region_mask(FaceTargets(IMAGE), region)
    assert mask is None
    assert on_white(IMAGE, mask) is IMAGE
    assert float(mean_inside(IMAGE, mask)) == pytest.approx(float(IMAGE.mean()))


def test_what_is_missing_of_the_masks():
    one = targets(1, right_eye_mask=None)
    assert torch.equal(region_mask(one, "eyes"), one.left_eye_mask)
    assert torch.equal(region_mask(targets(1, head_mask=None), "face"), ~region_mask(targets(1), "eyes"))
    blind = targets(1, left_eye_mask=None, right_eye_mask=None)
    assert torch.equal(region_mask(blind, "face"), blind.head_mask)
    with pytest.raises(ValueError, match="a mask of the head and none of the eyes"):
        region_mask(blind, "eyes")


def test_means_over_masks_by_hand():
    mask = torch.zeros(2, 6, 5, dtype=torch.bool)
    assert float(mean_inside(IMAGE, mask)) == 0
    mask[0, 1, 2] = mask[1, 3, 4] = True
    expected = torch.stack([IMAGE[0, :, 1, 2], IMAGE[1, :, 3, 4]]).mean()
    assert float(mean_inside(IMAGE, mask)) == pytest.approx(float(expected))


def test_what_lies_outside_has_no_gradient_even_where_it_is_broken():
    image = IMAGE.clone()
    image[:, :, 0, 0] = torch.nan
    mask = torch.ones(2, 6, 5, dtype=torch.bool)
    mask[:, 0, 0] = False
    on_white(image.requires_grad_(), mask).sum().backward()
    assert torch.equal(image.grad, mask[:, None].expand_as(image).float())
