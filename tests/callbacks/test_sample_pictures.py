"""Sheets of validation samples appear in the run directory when they should, whatever samples are."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from gaze.backbones.conv_vit import ConvViT
from gaze.callbacks.scene_pictures import ScenePictures
from gaze.callbacks.screen_pictures import ScreenPictures
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.image import read_image
from gaze.hardware import Hardware
from gaze.heads.heatmap_decoder import HeatmapDecoder
from gaze.models.gazelle import GazeLLE
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.line import Line
from tests.stubs.screen import ScreenRegressor, Screens


def scenes(folder):
    write_gazefollow_folder(folder, images={"train": 4, "val": 5, "test": 1}, outside=0.3)
    head = partial(HeatmapDecoder, width=16, layers=1, heads=2, size=(8, 8), inout=True)
    model = GazeLLE(ConvViT(stem=(8, 8), width=16, depth=1, heads=2), head)
    return ScenePictures, GazeFollow(str(folder), "val", (32, 32)), model


def screens(folder):
    eyes = ["left_eye", "right_eye"]
    return ScreenPictures, Screens("val", eyes), ScreenRegressor(eyes)


@pytest.fixture(params=[scenes, screens])
def case(request, tmp_path):
    """A callback, and what it looks at of a trainer."""
    torch.manual_seed(0)
    callback, data, model = request.param(tmp_path / "data")
    run, hardware = SimpleNamespace(path=tmp_path / "run"), Hardware("cpu")
    told = {"run": run, "hardware": hardware, "val_set": data, "eval_model": model, "amp": False}
    return callback, SimpleNamespace(**told, epoch=0, epochs=5, stop=False)


def written(trainer):
    return sorted(file.name for file in (trainer.run.path / "pictures").glob("*"))


def test_a_sheet_every_so_many_epochs_and_after_the_last(case):
    make, trainer = case
    callback = make(samples=3, every_epochs=2, height=48)
    callback.fit_start(trainer)
    for trainer.epoch in range(1, 6):
        callback.epoch_end(trainer, {})
    assert written(trainer) == ["epoch_002.png", "epoch_004.png", "epoch_005.png"]
    assert read_image(trainer.run.path / "pictures" / "epoch_005.png").shape[-1] > 2 * 64


def test_other_replicas_write_nothing(case):
    make, trainer = case
    trainer.hardware.rank, trainer.epoch = 1, 1
    make(samples=2, height=48).epoch_end(trainer, {})
    assert written(trainer) == []


def test_drawing_takes_nothing_from_the_model_s_random_numbers(case):
    make, trainer = case
    trainer.epoch = 1
    state = torch.get_rng_state()
    make(samples=2, height=48).epoch_end(trainer, {})
    assert torch.equal(state, torch.get_rng_state())


def test_other_samples_are_refused_before_training(case):
    make, trainer = case
    trainer.val_set = Line("val")
    with pytest.raises(ValueError, match=rf"draws {make.about}.*hold Point.*leave {make.name} out"):
        make().fit_start(trainer)


def test_settings_out_of_range_are_refused(case):
    with pytest.raises(ValueError, match=f"{case[0].name}.samples is 0"):
        case[0](samples=0)


@pytest.mark.parametrize("case", [scenes], indirect=True)
def test_a_data_set_that_has_larger_pictures_is_asked_for_them(case):
    make, trainer = case
    asked = []

    def picture(index):
        asked.append(index)
        return torch.zeros(3, 90, 120, dtype=torch.uint8)

    trainer.val_set.picture, trainer.epoch = picture, 1
    make(samples=2, height=48).epoch_end(trainer, {})
    assert asked == [0, 4]
