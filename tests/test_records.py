"""Batches of records as one."""

import pytest
import torch

from gaze.records import stacked
from gaze.types import FaceTargets
from tests.avatars.heads import face_inputs


def test_batches_lie_one_behind_the_other():
    parts = [face_inputs(b, seed=b) for b in (1, 3, 2)]
    whole = stacked(iter(parts))
    assert len(whole.gaze) == 6
    for name in ("gaze", "world_to_camera", "sample"):
        assert torch.equal(getattr(whole, name)[1:4], getattr(parts[1], name))


def test_what_the_first_leaves_out_is_left_out():
    bare, masked = FaceTargets(torch.zeros(1, 3, 2, 2)), FaceTargets(torch.ones(1, 3, 2, 2), torch.ones(1, 2, 2).bool())
    assert stacked([bare, masked]).head_mask is None
    with pytest.raises(TypeError):
        stacked([masked, bare])
