"""Modules that keep their weights."""

import pytest
import torch

from gaze.callbacks.freeze import Freeze
from tests.stubs.training import line_trainer


def test_what_is_named_does_not_move_and_the_rest_does(tmp_path):
    trainer = line_trainer(tmp_path, {"freeze": Freeze(["backbone"])})
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.fit()
    moved = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert not {name for name in moved if name.startswith("backbone.")}  # nor the statistics of its norms


def test_a_module_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'backbon' matches no parameter of the model; expected some of: .*backbone"):
        line_trainer(tmp_path, {"freeze": Freeze(["backbon"])}).fit()
