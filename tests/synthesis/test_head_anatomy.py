from dataclasses import fields

import pytest
import torch

from gaze.synthesis.head_anatomy import EXPRESSION, IDENTITY, anatomy_of
from tests.synthesis.some_heads import some_heads


def parts(identity, expression, **options):
    anatomy = anatomy_of(identity, expression, **options)
    return torch.cat([getattr(anatomy, f.name).reshape(len(identity), -1) for f in fields(anatomy)], 1)


def test_every_number_that_means_something_changes_the_head_and_no_other_does():
    base = parts(torch.zeros(1, IDENTITY), torch.zeros(1, EXPRESSION))
    by_identity = (parts(0.5 * torch.eye(IDENTITY), torch.zeros(IDENTITY, EXPRESSION)) != base).any(1)
    by_expression = (parts(torch.zeros(EXPRESSION, IDENTITY), 0.5 * torch.eye(EXPRESSION)) != base).any(1)
    assert by_identity.nonzero().flatten().tolist() == list(range(15))
    assert by_expression.nonzero().flatten().tolist() == list(range(4))


def test_eyes_grow_with_their_scale_and_stay_in_the_head():
    heads = some_heads(20, seed=3)
    small, large = (anatomy_of(heads.identity, heads.expression, scale) for scale in (1.0, 1.6))
    torch.testing.assert_close(large.eye_radius, 1.6 * small.eye_radius)
    assert small.eye_radius.mean().item() == pytest.approx(0.127, abs=0.005)  # 12.5 mm in life
    for anatomy in (small, large):
        assert (anatomy.lid < 0.95 * anatomy.eye_radius).all()
        assert (anatomy.lid > 0).all()
        assert (anatomy.eye[:, 0] > anatomy.eye_radius).all()  # the two do not touch


def test_colours_are_colours():
    heads = some_heads(1, identity=torch.full((1, IDENTITY), 2.0))
    for sign in (-1, 1):
        anatomy = anatomy_of(sign * heads.identity, heads.expression)
        for colour in (anatomy.skin, anatomy.hair, anatomy.iris):
            assert ((colour >= 0) & (colour <= 1)).all()
