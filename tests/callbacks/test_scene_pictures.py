"""Sheets of validation pictures appear in the run directory when they should."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from gaze.backbones.conv_vit import ConvViT
from gaze.callbacks.scene_pictures import ScenePictures
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.image import read_image
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.models.gazelle import GazeLLE
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.line import Line


@pytest.fixture
def trainer(tmp_path):
    """What the callback looks at of a trainer."""
    write_gazefollow_folder(tmp_path / "data", images={"train": 4, "val": 5, "test": 1}, outside=0.3)
    torch.manual_seed(0)
    head = partial(HeatmapDecoder, width=16, layers=1, heads=2, size=(8, 8), inout=True)
    return SimpleNamespace(
        val_set=GazeFollow(str(tmp_path / "data"), "val", (32, 32)),
        hardware=Hardware("cpu"),
        eval_model=GazeLLE(ConvViT(stem=(8, 8), width=16, depth=1, heads=2), head).eval(),
        run=SimpleNamespace(path=tmp_path / "run"),
        amp=False,
        epoch=0,
        epochs=5,
        stop=False,
    )


def written(trainer):
    return sorted(file.name for file in (trainer.run.path / "pictures").glob("*"))


def test_a_sheet_every_so_many_epochs_and_after_the_last(trainer):
    callback = ScenePictures(images=3, every_epochs=2, height=48)
    callback.fit_start(trainer)
    for trainer.epoch in range(1, 6):
        callback.epoch_end(trainer, {})
    assert written(trainer) == ["epoch_002.png", "epoch_004.png", "epoch_005.png"]
    assert read_image(trainer.run.path / "pictures" / "epoch_005.png").shape[-1] > 2 * 64


def test_other_replicas_write_nothing(trainer):
    trainer.hardware.rank, trainer.epoch = 1, 1
    ScenePictures(images=2, height=48).epoch_end(trainer, {})
    assert written(trainer) == []


def test_a_data_set_that_has_larger_pictures_is_asked_for_them(trainer):
    asked = []

    def picture(index):
        asked.append(index)
        return torch.zeros(3, 90, 120, dtype=torch.uint8)

    trainer.val_set.picture = picture
    trainer.epoch = 1
    ScenePictures(images=2, height=48).epoch_end(trainer, {})
    assert asked == [0, 4]


def test_drawing_takes_nothing_from_the_model_s_random_numbers(trainer):
    trainer.epoch = 1
    state = torch.get_rng_state()
    ScenePictures(images=2, height=48).epoch_end(trainer, {})
    assert torch.equal(state, torch.get_rng_state())


def test_samples_that_are_no_scenes_are_refused_before_training(trainer):
    trainer.val_set = Line("val")
    with pytest.raises(ValueError, match=r"draws scenes.*hold Point"):
        ScenePictures().fit_start(trainer)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="images is 0"):
        ScenePictures(images=0)
