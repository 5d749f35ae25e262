"""Mean images come from the training split, once, and stay with the weights."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.backbones.itracker_tower import ITrackerTower, MeanImage
from gaze.callbacks.ema import EMA
from gaze.callbacks.mean_images import MeanImages
from gaze.datasets.image import ImageError
from gaze.datasets.screen import ScreenDataset
from gaze.types import Batch, ScreenInputs, ScreenTargets
from tests.datasets.screen_views import table
from tests.recordings.miniature import jpeg

LEFT, RIGHT = (
    torch.randint(256, (3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(s)) for s in (0, 1)
)


class Samples:
    def __len__(self):
        return 3

    def seen(self, index):
        return Batch(ScreenInputs(left_eye=LEFT, right_eye=RIGHT), ScreenTargets(torch.zeros(2)), torch.tensor(index))


class Model(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.trunks = nn.ModuleDict({"eyes": ITrackerTower(size)})


def trainer_of(model):
    return SimpleNamespace(model=model, eval_model=model, train_set=Samples())


@pytest.mark.parametrize("first", ["ema", "mean_images"])
def test_a_shared_trunk_gets_the_mean_of_left_and_mirrored_right_eyes_and_so_does_its_average(first):
    trainer = trainer_of(Model([4, 6]))
    for callback in sorted([EMA(), MeanImages()], key=lambda c: (type(c) is EMA) != (first == "ema")):
        callback.fit_start(trainer)
    expected = (LEFT.float() + RIGHT.float().flip(-1)) / 2 / 255
    for model in (trainer.model, trainer.eval_model):
        torch.testing.assert_close(model.trunks["eyes"].mean.image, expected)
    assert "trunks.eyes.mean.image" in trainer.model.state_dict()


def test_one_that_is_there_stays_and_the_grey_of_a_single_pixel_too():
    model = Model([4, 6])
    model.trunks["eyes"].mean.image.fill_(0.25)
    MeanImages().fit_start(trainer_of(model))
    assert (model.trunks["eyes"].mean.image == 0.25).all()
    plain = Model(None)
    MeanImages().fit_start(trainer_of(plain))
    assert plain.trunks["eyes"].mean.image.flatten().tolist() == [0.5, 0.5, 0.5]


def test_a_crop_that_cannot_be_read_is_left_out_where_training_leaves_it_out(tmp_path):
    file = str(table(tmp_path, left_eye=lambda _, frame: b"\xff\xd8nothing" if frame == 1 else jpeg(frame)))
    settings = {"streams": ["left_eye", "right_eye"], "eye_size": [4, 6]}
    trainer = trainer_of(Model([4, 6]))
    trainer.train_set = ScreenDataset(file, "train", **settings, on_corrupt="skip")
    MeanImages().fit_start(trainer)
    readable = [trainer.train_set.sample(i, None).inputs for i in (0, 2, 2, 3, 4, 5, 6, 0)]
    mean = sum(i.left_eye.float() + i.right_eye.float().flip(-1) for i in readable) / 16 / 255
    torch.testing.assert_close(trainer.model.trunks["eyes"].mean.image, mean)
    assert [fault.where for fault in trainer.train_set.faults] == ["mini/anna-1/00001", "mini/ben-1/00001"]
    trainer = trainer_of(Model([4, 6]))
    trainer.train_set = ScreenDataset(file, "train", **settings)
    with pytest.raises(ImageError):
        MeanImages().fit_start(trainer)


def test_sizes_that_differ_are_said():
    with pytest.raises(
        ValueError, match=r"crops of eyes are \(4, 6\) px .* is \(5, 6\); set model.trunks.eyes.mean_image"
    ):
        MeanImages().fit_start(trainer_of(Model([5, 6])))
    with pytest.raises(ValueError, match=r"an image of \(5, 5\) px and a mean image of \(4, 6\)"):
        MeanImage([4, 6])(torch.rand(1, 3, 5, 5))
    with pytest.raises(ValueError, match="samples is 0; expected 1 or more"):
        MeanImages(0)
