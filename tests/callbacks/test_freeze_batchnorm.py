"""Batch norms that stay as they are."""

import pytest
import torch

from gaze.callbacks.freeze_batchnorm import FreezeBatchNorm
from gaze.callbacks.unfreeze import Unfreeze
from tests.stubs.training import line_trainer


def norms(model):
    return {
        name: value.clone()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)
        for name, value in ((f"{name}.{key}", value) for key, value in module.state_dict().items())
    }


@pytest.mark.parametrize("unfreeze", [{}, {"unfreeze": Unfreeze(first=0, hold_epochs=1, every_epochs=1)}])
def test_statistics_and_scales_do_not_move_even_in_blocks_that_thaw_later(tmp_path, unfreeze):
    trainer = line_trainer(tmp_path, {**unfreeze, "freeze": FreezeBatchNorm()})
    before = norms(trainer.model)
    weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if name not in before}
    assert before
    trainer.fit()
    after = norms(trainer.model)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any(not torch.equal(p, weights[name]) for name, p in trainer.model.named_parameters() if name in weights)


def test_a_glob_that_matches_no_norm_lists_them(tmp_path):
    trainer = line_trainer(tmp_path, {"freeze": FreezeBatchNorm(["head.*"])})
    with pytest.raises(ValueError, match=r"head\.\*.*match no batch norm; there are backbone"):
        trainer.fit()
