"""Corrections of single training samples."""

import pytest
import torch

from gaze.avatars.corrections import Corrections, row_problem
from tests.avatars.heads import face_inputs


def test_they_begin_with_nothing_and_belong_to_their_sample():
    tables = Corrections(4, identity=8, expression=4)
    inputs = face_inputs(2)
    same, offsets = tables(inputs)
    assert torch.equal(same.identity, inputs.identity)
    assert offsets.camera.abs().max() == 0
    with torch.no_grad():
        tables.camera.weight[1] = 1.0
        tables.expression.weight[0] = 2.0
    changed, offsets = tables(inputs)
    assert torch.allclose(changed.pose - inputs.pose, torch.tensor([[0.0] * 6, [1.0] * 6]), atol=1e-6)
    assert torch.allclose(changed.expression[0] - inputs.expression[0], torch.tensor(2.0), atol=1e-6)
    assert torch.equal(changed.gaze, inputs.gaze)


def test_what_was_not_trained_on_has_none():
    tables = Corrections(2, identity=8, expression=4)
    torch.nn.init.ones_(tables.identity.weight)
    found = tables.offsets(torch.tensor([-1, 1]))
    assert found.identity.sum(1).tolist() == [0.0, 8.0]
    found.identity.sum().backward()
    assert tables.identity.weight.grad.sum(1).tolist() == [0.0, 8.0]


def test_too_few_rows_are_said_with_the_number_to_set():
    assert row_problem(10, 10) is None
    assert "set model.corrections.rows=11" in row_problem(10, 11)
    with pytest.raises(ValueError, match="rows is 0"):
        Corrections(0)
