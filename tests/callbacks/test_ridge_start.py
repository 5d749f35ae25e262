"""A linear head starts from the closed form, once, in the model and in its average."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.callbacks.ema import EMA
from gaze.callbacks.ridge_start import Reader, RidgeStart
from gaze.directions.baselines import ridge_of
from gaze.geometry import angular_error
from gaze.hardware import Hardware
from gaze.heads.direction import DirectionHead
from gaze.heads.direction_angles import DirectionAnglesHead
from gaze.heads.direction_vmf import DirectionVMFHead
from gaze.models.linear_direction import LinearDirection
from gaze.types import DirectionInputs
from tests.directions.some_faces import LabelledFaces, Tower


class Cells(nn.Module):
    """A backbone with a norm that has seen nothing, whose pictures differ by less than its first statistics say."""

    channels = 3

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, image):
        return self.norm(image)


def trainer_of(head=DirectionHead, step=0, faces=LabelledFaces, backbone=None):
    clip = Tower()
    clip.embed_width = 6
    model = LinearDirection(clip, head, backbone)
    return SimpleNamespace(
        model=model,
        eval_model=model,
        train_set=faces("train"),
        val_set=faces("val"),
        hardware=Hardware("cpu"),
        plan=SimpleNamespace(batch_size=8),
        progress=SimpleNamespace(step=step),
    )


@torch.no_grad()
def said(trainer):
    faces = [trainer.val_set[i].inputs.face for i in range(len(trainer.val_set))]
    return trainer.model.eval()(DirectionInputs(torch.stack(faces) / 255))


@pytest.mark.parametrize("head", [DirectionHead, DirectionVMFHead])
def test_the_first_prediction_is_the_ridge_s(head):
    trainer = trainer_of(head)
    trainer.model.norm.weight.data.fill_(0.5)  # what the layer reads lies behind it
    before, truth = said(trainer), trainer.val_set.labels.gaze
    ridge = ridge_of(Reader(trainer.model), trainer.train_set, trainer.val_set, Hardware("cpu"))
    RidgeStart().fit_start(trainer)
    now = said(trainer).gaze
    torch.testing.assert_close(now, ridge(before.features).float(), atol=1e-5, rtol=0)
    assert angular_error(now, truth).mean() < angular_error(before.gaze, truth).mean() / 1.5


def test_an_average_has_it_too_and_batch_norms_have_seen_faces():
    trainer = trainer_of(backbone=Cells())
    EMA().fit_start(trainer)
    RidgeStart().fit_start(trainer)
    assert trainer.eval_model is not trainer.model
    for name, value in trainer.eval_model.state_dict().items():
        assert torch.equal(value, trainer.model.state_dict()[name]), name
    norm = trainer.model.backbone.norm
    colours = (0.5 + 100 / 255 * trainer.train_set.labels.gaze).mean(0)
    torch.testing.assert_close(norm.running_mean, colours, atol=0.01, rtol=0)
    assert norm.momentum == 0.1


def test_an_interrupted_run_goes_on_with_what_it_learnt():
    trainer = trainer_of(step=1)
    before = trainer.model.output.direction.weight.clone()
    RidgeStart().fit_start(trainer)
    assert torch.equal(trainer.model.output.direction.weight, before)


def test_what_it_cannot_start_is_said():
    with pytest.raises(ValueError, match=r"LinearDirection has no linear layer output.direction .* head=direction_vmf"):
        RidgeStart().fit_start(trainer_of(DirectionAnglesHead))
    with pytest.raises(ValueError, match="SimpleNamespace has no `labels` with the directions"):
        RidgeStart().fit_start(trainer_of(faces=lambda split: SimpleNamespace()))
    with pytest.raises(ValueError, match=r"ridge_start.samples is 1; expected 2 or more"):
        RidgeStart(1)
