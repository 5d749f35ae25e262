"""Neutral landmarks come from the first training sample, once."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze.callbacks.neutral_landmarks import NeutralLandmarks
from gaze.types import Batch, FaceTargets
from tests.avatars.heads import face_inputs, landmarks, small_mesh_head


class OneHead:
    """A data set of one sample."""

    def __init__(self, found):
        inputs = face_inputs(1).map(lambda t: t[0])
        self.batch = Batch(inputs, FaceTargets(torch.zeros(3, 8, 8).byte(), landmarks=found), torch.tensor(0))

    def seen(self, index):
        return self.batch

    def name(self, index):
        return "subject0001#0"


def trainer(found, filled=None):
    head = small_mesh_head()
    with torch.no_grad():
        head.landmarks.copy_(torch.zeros(52, 3) if filled is None else filled)
    model = nn.ModuleDict({"backbone": head})
    return SimpleNamespace(model=model, eval_model=model, train_set=OneHead(found))


def test_they_are_those_of_the_first_sample():
    case = trainer(landmarks())
    case.eval_model = trainer(None).model  # an average has its own
    NeutralLandmarks().fit_start(case)
    for model in (case.model, case.eval_model):
        assert torch.equal(model["backbone"].landmarks.data, landmarks())
        assert model["backbone"].landmarks.requires_grad


def test_what_a_checkpoint_brought_stays():
    case = trainer(landmarks(), filled=landmarks() + 1)
    NeutralLandmarks().fit_start(case)
    assert torch.equal(case.model["backbone"].landmarks.data, landmarks() + 1)


def test_what_does_not_fit_is_said_with_what_to_set():
    with pytest.raises(ValueError, match=r"have 50 landmarks.*model has 52; set backbone.landmarks=50"):
        NeutralLandmarks().fit_start(trainer(landmarks()[:50]))
    with pytest.raises(ValueError, match="have no landmarks in 3D"):
        NeutralLandmarks().fit_start(trainer(None))
    broken = landmarks()
    broken[3] = torch.nan
    with pytest.raises(ValueError, match="subject0001#0 are not finite"):
        NeutralLandmarks().fit_start(trainer(broken))
    without = trainer(landmarks())
    without.model = without.eval_model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="Linear has no mesh head"):
        NeutralLandmarks().fit_start(without)
