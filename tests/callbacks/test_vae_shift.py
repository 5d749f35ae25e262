"""How far reconstruction moves the gaze is known before the first step."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.callbacks.vae_shift import VAEShift
from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.perceptual.estimators import Estimator
from gaze.types import Batch, DirectionInputs, DirectionPrediction, FaceInputs, FaceTargets
from gaze.vaes.shift import gaze_shift
from tests.losses.some_heads import masks
from tests.stubs.vaes import tiny


class ByBrightness(nn.Module):
    """Says yaw = brightness, in radians, so that what a reconstruction does to it can be worked out."""

    face_size = (12, 12)

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        self.seen = inputs.face.shape
        yaw = inputs.face.mean((1, 2, 3))
        return DirectionPrediction(torch.stack([-yaw.sin(), 0 * yaw, -yaw.cos()], -1))


class Identity(type(tiny())):
    """An autoencoder that loses nothing, but adds `more` to each pixel."""

    more = 0.0

    def latents(self, image):
        return image

    def decode(self, latent):
        return latent + self.more


def identity(more=0.0):
    vae = Identity(widths=[4], layers=1, groups=4, attention=False)
    vae.more = more
    return vae


class Views(Dataset):
    def __len__(self):
        return 10

    def seen(self, index):
        image = torch.full((3, 24, 24), 100, dtype=torch.uint8)
        inputs = FaceInputs(
            *(torch.zeros(n) for n in (2, 4, 3, 6)), torch.ones(()), torch.eye(4), torch.eye(3), torch.tensor(0)
        )
        return Batch(inputs, FaceTargets(image, head_mask=masks(24)[0][0]), torch.tensor(index))


def trainer(vae):
    return SimpleNamespace(model=nn.ModuleDict({"vae": vae}), val_set=Views(), hardware=Hardware("cpu", workers=0))


def test_what_loses_nothing_moves_nothing():
    image = torch.rand(3, 3, 24, 24)
    assert torch.allclose(gaze_shift(identity(), Estimator(ByBrightness()), image), torch.zeros(3), atol=1e-3)


def test_the_shift_is_the_angle_between_what_the_estimator_says_of_both_in_its_own_size():
    estimator = ByBrightness()
    shift = gaze_shift(identity(0.1), Estimator(estimator), torch.full((3, 3, 24, 24), 0.5))
    assert torch.allclose(shift, torch.rad2deg(torch.tensor(0.1)).expand(3), atol=1e-3)
    assert estimator.seen == (3, 3, 12, 12)


@pytest.mark.parametrize(("more", "warned"), [(0.0, False), (-0.1, True)])
def test_it_is_logged_once_and_warned_of_above_the_limit(more, warned, caplog):
    callback = VAEShift(ByBrightness(), samples=4)
    with caplog.at_level(logging.INFO, "gaze.callbacks.vae_shift"):
        callback.fit_start(trainer(identity(more)))
    (record,) = caplog.records
    assert "4 pictures" in record.message
    assert (record.levelno == logging.WARNING) == warned
    if warned:
        assert "5.7 deg" in record.message
        assert "vae.widths" in record.message
    assert float(callback.figures()["vae_shift_deg"]) == pytest.approx(abs(more) * 57.2958, abs=1e-2)
    assert callback.figures() == {}


def test_what_can_not_be_measured_is_refused():
    with pytest.raises(ValueError, match="limit_deg"):
        VAEShift(ByBrightness(), limit_deg=0)
    with pytest.raises(ValueError, match="has no autoencoder"):
        VAEShift(ByBrightness()).fit_start(trainer(nn.Linear(1, 1)))
