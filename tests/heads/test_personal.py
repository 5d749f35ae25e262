"""A head that knows who looks."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from gaze.heads.personal import Personal
from gaze.heads.point import PointHead
from gaze.types import ScreenInputs


def head(**options):
    torch.manual_seed(0)
    return Personal(5, partial(PointHead, hidden=[8]), **({"people": 4} | options))


def test_unknown_persons_have_zeros_and_others_their_own_numbers():
    personal = head().eval()
    torch.nn.init.normal_(personal.latent.weight)
    features = torch.randn(1, 5).expand(3, -1)
    found = personal(features, ScreenInputs(person=torch.tensor([-1, 2, 3]))).point
    nobody = personal(features, ScreenInputs()).point
    torch.testing.assert_close(found[0], nobody[0])
    assert not torch.allclose(found[1], found[2])
    numbers = personal.latent.weight[2].expand(3, -1)
    torch.testing.assert_close(personal.given(features, numbers, ScreenInputs()).point[0], found[1])


class Tensors(torch.nn.Module):
    """The head between tensors, as exporters want it."""

    def __init__(self, personal):
        super().__init__()
        self.personal = personal

    def forward(self, features):
        return self.personal(features, ScreenInputs()).point


def test_numbers_of_the_unknown_are_somebodys_in_exports_too_for_any_number_of_frames():
    personal = head().eval().requires_grad_(False)
    plain = personal(torch.ones(2, 5), ScreenInputs()).point
    personal.unknown.copy_(torch.arange(6.0))
    assert "unknown" not in personal.state_dict()
    batch = torch.export.Dim("batch")
    program = torch.export.export(Tensors(personal), (torch.zeros(3, 5),), dynamic_shapes={"features": {0: batch}})
    found = program.module()(torch.ones(2, 5))
    torch.testing.assert_close(
        found, personal.given(torch.ones(2, 5), torch.arange(6.0).expand(2, -1), ScreenInputs()).point
    )
    assert not torch.allclose(found, plain)


def test_training_hides_some_persons_and_evaluation_none():
    personal = head(hidden_share=0.5)
    torch.nn.init.ones_(personal.latent.weight)
    features, inputs = torch.randn(400, 5), ScreenInputs(person=torch.zeros(400, dtype=torch.long))
    assert 0.4 < personal.train().latents(features, inputs).mean() < 0.6
    assert personal.eval().latents(features, inputs).mean() == 1


def test_persons_learn_what_the_features_do_not_tell_and_a_new_one_is_fitted_with_all_else_frozen():
    """Each person is off by a vector of their own; the last person comes after training."""
    personal = head(hidden_share=0.1, people=3)
    bias = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, -1.0], [0.5, 0.5]])
    optimizer = torch.optim.Adam(personal.parameters(), 0.02)
    for _ in range(400):
        features, person = torch.randn(64, 5), torch.randint(0, 3, (64,))
        point = personal(features, ScreenInputs(person=person)).point
        optimizer.zero_grad()
        F.mse_loss(point, features[:, :2] + bias[person]).backward()
        optimizer.step()
    personal.eval().requires_grad_(False)
    looks = torch.randn(9, 5)
    numbers = torch.zeros(1, 6, requires_grad=True)
    fit = torch.optim.Adam([numbers], 0.05)
    for _ in range(200):
        fit.zero_grad()
        point = personal.given(looks, numbers.expand(9, -1), ScreenInputs()).point
        F.mse_loss(point, looks[:, :2] + bias[3]).backward()
        fit.step()
    features = torch.randn(200, 5)
    truth = features[:, :2] + bias[3]
    before = (personal(features, ScreenInputs()).point - truth).norm(dim=1).mean()
    after = (personal.given(features, numbers.expand(200, -1), ScreenInputs()).point - truth).norm(dim=1).mean()
    assert after < 0.6 * before


@pytest.mark.parametrize("options", [{"people": 0}, {"size": 0}, {"hidden_share": 1.0}])
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="expected at least one person and one number, and a share"):
        head(**options)
