"""Sheets of validation crops appear in the run directory when they should."""

from types import SimpleNamespace

import pytest
import torch

from gaze.callbacks.screen_pictures import ScreenPictures
from gaze.datasets.image import read_image
from gaze.hardware import Hardware
from tests.stubs.line import Line
from tests.stubs.screen import ScreenRegressor, Screens


@pytest.fixture
def trainer(tmp_path):
    """What the callback looks at of a trainer."""
    torch.manual_seed(0)
    return SimpleNamespace(
        val_set=Screens("val", ["left_eye", "right_eye"]),
        hardware=Hardware("cpu"),
        eval_model=ScreenRegressor(["left_eye", "right_eye"]),
        run=SimpleNamespace(path=tmp_path / "run"),
        amp=False,
        epoch=0,
        epochs=5,
        stop=False,
    )


def written(trainer):
    return sorted(file.name for file in (trainer.run.path / "pictures").glob("*"))


def test_a_sheet_every_so_many_epochs_and_after_the_last(trainer):
    callback = ScreenPictures(samples=3, every_epochs=2, height=32)
    callback.fit_start(trainer)
    for trainer.epoch in range(1, 6):
        callback.epoch_end(trainer, {})
    assert written(trainer) == ["epoch_002.png", "epoch_004.png", "epoch_005.png"]
    assert read_image(trainer.run.path / "pictures" / "epoch_005.png").shape[-1] > 2 * 3 * 32


def test_other_replicas_write_nothing(trainer):
    trainer.hardware.rank, trainer.epoch = 1, 1
    ScreenPictures(samples=2, height=32).epoch_end(trainer, {})
    assert written(trainer) == []


def test_drawing_takes_nothing_from_the_model_s_random_numbers(trainer):
    trainer.epoch = 1
    state = torch.get_rng_state()
    ScreenPictures(samples=2, height=32).epoch_end(trainer, {})
    assert torch.equal(state, torch.get_rng_state())


def test_samples_that_are_not_of_screens_are_refused_before_training(trainer):
    trainer.val_set = Line("val")
    with pytest.raises(ValueError, match=r"draws screens.*hold Point"):
        ScreenPictures().fit_start(trainer)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="samples is 0"):
        ScreenPictures(samples=0)
