"""Training has what is left of augmentation done, wherever the config says."""

from contextlib import closing

import torch

from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.photometric import PhotometricDistort
from gaze.hardware import Hardware
from gaze.losses.loss import Loss
from gaze.losses.objective import Objective
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.line import Point
from tests.stubs.training import line_trainer


class Remembering(torch.nn.Module):
    """Keeps the pictures that reach it."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.ones(())), []

    def forward(self, inputs):
        self.seen.append(inputs.image)
        return Point(self.weight * inputs.image.mean((1, 2, 3))[:, None])


class Mean(Loss):
    def forward(self, prediction, batch, progress):
        assert batch.later is None
        return prediction.x.mean()


def test_training_finishes_batches_on_the_device_or_in_the_loader(tmp_path):
    """The same samples reach the model, whoever changes them."""
    write_gazefollow_folder(tmp_path / "data", images=4)
    data = GazeFollow(str(tmp_path / "data"), "train", (24, 32), augmentations=[PhotometricDistort()])
    seen = {}
    for where in ("device", "loader"):
        settings = {"model": Remembering(), "objective": Objective({"mean": Mean()}), "train_set": data}
        hardware = Hardware("cpu", workers=0, augment_on=where)
        trainer = line_trainer(tmp_path / where, hardware=hardware, batch_size=2, **settings)
        batches = list(trainer.train_loader)
        assert all((batch.later is None) == (where == "loader") for batch in batches)
        with closing(trainer):
            trainer.train_epoch()
        seen[where] = torch.cat(trainer.model.seen)
        assert len(seen[where]) == 2 * trainer.plan.steps
    assert (seen["device"] - seen["loader"]).abs().max() <= 0.51 / 255
