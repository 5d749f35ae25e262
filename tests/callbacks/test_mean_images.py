"""Mean images come from the training split, once, and stay with the weights."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.backbones.itracker_tower import ITrackerTower, MeanImage
from gaze.callbacks.ema import EMA
from gaze.callbacks.mean_images import MeanImages
from gaze.types import Batch, ScreenInputs, ScreenTargets

LEFT, RIGHT = (
    torch.randint(256, (3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(s)) for s in (0, 1)
)


class Samples:
    def __len__(self):
        return 3

    def sample(self, index, generator):
        assert generator is None
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


def test_sizes_that_differ_are_said():
    with pytest.raises(
        ValueError, match=r"crops of eyes are \(4, 6\) px .* is \(5, 6\); set model.trunks.eyes.mean_image"
    ):
        MeanImages().fit_start(trainer_of(Model([5, 6])))
    with pytest.raises(ValueError, match=r"an image of \(5, 5\) px and a mean image of \(4, 6\)"):
        MeanImage([4, 6])(torch.rand(1, 3, 5, 5))
    with pytest.raises(ValueError, match="samples is 0; expected 1 or more"):
        MeanImages(0)
