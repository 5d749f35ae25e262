"""Progressive unfreezing: the reference's schedule (its golden values), and what thawing does."""

import logging

import pytest
import torch

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.unfreeze import Unfreeze
from gaze.freezing import count_parameters, train_mode
from tests.stubs.line import Net
from tests.stubs.training import line_trainer


def test_the_golden_schedule_of_twelve_blocks():
    unfreeze = Unfreeze(first=2, hold_epochs=10, every_epochs=3)
    expected = [2] * 10 + [n for n in range(3, 12) for _ in range(3)] + [12] * 4
    assert [unfreeze.target(epoch, 12) for epoch in range(41)] == expected


@pytest.mark.parametrize(
    ("first", "hold", "every", "epoch"), [(2, 10, 3, 37), (2, 5, 2, 23), (2, 10, 2, 28), (12, 9, 1, 0)]
)
def test_the_epoch_from_which_all_blocks_train(first, hold, every, epoch):
    unfreeze = Unfreeze(first=first, hold_epochs=hold, every_epochs=every)
    assert unfreeze.last_epoch(12) == epoch
    assert unfreeze.target(epoch, 12) == 12
    assert epoch == 0 or unfreeze.target(epoch - 1, 12) == 11


def test_null_is_all_zero_is_none_and_without_a_rhythm_nothing_thaws():
    assert Unfreeze(first=None).target(0, 12) == 12
    assert Unfreeze(first=0).target(100, 12) == 0
    assert Unfreeze(first=0).last_epoch(12) is None
    assert Unfreeze(first=3).target(100, 12) == 3


def test_a_frozen_part_does_not_move_and_keeps_its_statistics(tmp_path):
    callbacks = {"unfreeze": Unfreeze(first=1), "checkpoint": Checkpoint()}
    trainer = line_trainer(tmp_path, callbacks)
    frozen = {k: v.clone() for k, v in trainer.model.backbone.layers[0].state_dict().items()}
    thawed = trainer.model.backbone.layers[1][1].weight.detach().clone()
    trainer.fit()
    for name, before in frozen.items():  # running means of the batch norm included
        assert torch.equal(trainer.model.backbone.layers[0].state_dict()[name], before)
    assert not torch.equal(trainer.model.backbone.layers[1][1].weight, thawed)


def test_frozen_modules_are_in_eval_mode_and_their_parents_are_not():
    model = Net()
    model.backbone.layers[0].requires_grad_(False)
    train_mode(model)
    assert model.training
    assert model.backbone.training
    assert not any(m.training for m in model.backbone.layers[0].modules())
    assert all(m.training for m in model.backbone.layers[1].modules())


def test_counts_of_parameters_add_up():
    model = Net()
    model.backbone.requires_grad_(False)
    counts = {c.part: c for c in count_parameters(model)}
    assert counts["backbone"].trainable == 0
    assert counts["backbone"].frozen + counts["head"].total == counts["model"].total
    assert counts["model"].trainable == counts["head"].total == 9


def test_a_schedule_that_cannot_finish_is_said(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        callbacks = {"unfreeze": Unfreeze(first=0, hold_epochs=3, every_epochs=5), "checkpoint": Checkpoint()}
        line_trainer(tmp_path, callbacks, epochs=4).fit()
    assert "all 2 blocks would train from epoch 8 on, but training ends after 4 epochs" in caplog.text
    assert "1 blocks train from epoch 3 on" in caplog.text
    assert "backbone: none of its 2 blocks train from the start, block 1 from epoch 3\n" in caplog.text


def test_the_plan_says_which_block_opens_when():
    assert Unfreeze(first=2, hold_epochs=10, every_epochs=3).plan(12, 17) == (
        "the last 2 of 12 blocks train from the start, block 9 from epoch 10, block 8 from epoch 13, block 7 from epoch 16"
    )
    assert Unfreeze(first=None).plan(3, 100) == "all its 3 blocks train from the start"


def test_early_parameters_train_with_the_first_open_block_and_not_before(tmp_path):
    early = ["layers.0.1"]
    trainer = line_trainer(tmp_path, {"unfreeze": Unfreeze(first=0, hold_epochs=1, every_epochs=1, early=early)})
    trainer.call("fit_start")
    assert not any(p.requires_grad for p in trainer.model.backbone.parameters())
    trainer.epoch = 1
    trainer.call("epoch_start")
    first, second = trainer.model.backbone.layers
    assert all(p.requires_grad for p in [*first[1].parameters(), *second.parameters()])
    assert not any(p.requires_grad for p in first[0].parameters())


def test_an_early_glob_that_matches_nothing_is_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"early: 'cls_tokn' matches no parameter of backbone; expected some of: stem, layers.0, layers.1",
    ):
        line_trainer(tmp_path, {"unfreeze": Unfreeze(first=0, hold_epochs=3, early=["cls_tokn"])}).fit()


@pytest.mark.parametrize("arguments", [{"first": -1}, {"hold_epochs": -1}, {"every_epochs": 0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="expected first >= 0"):
        Unfreeze(**arguments)
