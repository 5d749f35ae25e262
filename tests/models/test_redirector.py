"""The second stage of GazeGaussian: two streams, one picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from gaze.avatars.corrections import Corrections
from gaze.backbones.gaussian_head import GaussianHead
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.head_frames import camera_gaze
from gaze.heads.refined import Refined
from gaze.models.redirector import Redirector
from gaze.rasterize.rasterizer import Rasterizer
from gaze.types import FaceInputs

SIDE = 24


class AsDrawn(nn.Module):
    """Refines nothing."""

    facts = {"Renderer": "None"}  # noqa: RUF012

    def forward(self, feature, alpha, inputs, samples):
        return Refined(nn.functional.interpolate(feature[:, :3], (SIDE, SIDE)))


def model(**settings) -> Redirector:
    torch.manual_seed(0)
    head = GaussianHead(
        ExplicitRotation(code=5, width=8), identity=3, expression=2, landmarks=50, face_points=300, eye_points=40,
        eye_radius=0.2, point_feature=4, features=4, width=8,
    )  # fmt: skip
    settings = {"corrections": Corrections(6, 3, 2), "image_size": SIDE, "feature_size": SIDE} | settings
    return Redirector(head, Rasterizer("torch"), AsDrawn(), **settings)


def inputs(b: int = 2, seed: int = 1) -> FaceInputs:
    draws = torch.Generator().manual_seed(seed)
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    view[2, 3] = 8
    camera = torch.tensor([[SIDE * 3.0, 0, SIDE / 2], [0, SIDE * 3.0, SIDE / 2], [0, 0, 1]])
    return FaceInputs(
        gaze=0.3 * torch.randn(b, 2, generator=draws),
        identity=torch.randn(b, 3, generator=draws),
        expression=torch.randn(b, 2, generator=draws),
        pose=0.1 * torch.randn(b, 6, generator=draws),
        scale=torch.ones(b),
        world_to_camera=view.expand(b, 4, 4),
        camera=camera.expand(b, 3, 3),
        sample=torch.arange(b),
    )


def test_a_batch_is_what_its_samples_are_alone():
    """The published code can't: it turns eyes once for each sample of a batch, and takes the first one's corrections."""
    net = model().eval()
    with torch.no_grad():
        net.corrections.camera.weight.normal_(std=0.02)
        net.corrections.identity.weight.normal_(std=0.1)
        both = net(inputs(2))
        alone = [net(inputs(2).map(lambda t, i=i: t[i : i + 1])) for i in range(2)]
    for name in ("image", "alpha", "depth", "raw"):
        assert torch.allclose(getattr(both, name), torch.cat([getattr(one, name) for one in alone]), atol=1e-5), name


def test_gaze_moves_nothing_but_the_eyes():
    net = model().eval()
    here, there = inputs(1), replace(inputs(1), gaze=torch.tensor([[0.2, -0.4]]))
    with torch.no_grad():
        first, second = net.backbone(here), net.backbone(there)
    assert torch.equal(first.face.mean, second.face.mean)
    assert torch.equal(first.face.feature, second.face.feature)
    moved = (first.eyes.mean - second.eyes.mean).norm(dim=-1)
    assert moved.max() > 0.05


def test_streams_are_drawn_alone_in_training_only():
    net = model()
    shown = net.train()(inputs())
    assert shown.face.shape == shown.eyes.shape == shown.eyes_raw.shape == (2, 3, SIDE, SIDE)
    assert (shown.eyes - shown.face).abs().max() > 0.1
    still = net.eval()(inputs())
    assert still.face is still.eyes is still.wandered is None
    assert torch.allclose(still.image, shown.image, atol=1e-5)


def test_both_streams_learn_from_the_whole():
    net = model(streams=False).train()
    net(inputs()).image.square().sum().backward()
    for part in (net.backbone.face.splats.position, net.backbone.eyes.splats.position, net.corrections.camera.weight):
        assert part.grad.isfinite().all()
        assert part.grad.abs().sum() > 0


def test_a_sample_corrects_itself_alone():
    net = model().train()
    net(inputs()).image.square().sum().backward()
    rows = net.corrections.camera.weight.grad.abs().sum(1)
    assert (rows[:2] > 0).all()
    assert (rows[2:] == 0).all()


def test_a_sample_that_was_not_trained_on_has_no_corrections():
    net = model().eval()
    with torch.no_grad():
        net.corrections.camera.weight.fill_(0.3)
        known, unknown = net(inputs(1)), net(replace(inputs(1), sample=torch.tensor([-1])))
    assert unknown.camera_offset.abs().max() == 0
    assert (known.image - unknown.image).abs().max() > 0.01


def test_another_gaze_can_be_drawn_beside_the_label():
    net = model(wander_rad=0.3).train()
    torch.manual_seed(3)
    shown = net(inputs())
    assert shown.wandered.shape == shown.image.shape
    assert torch.allclose(shown.wandered_gaze.norm(dim=-1), torch.ones(2))
    torch.manual_seed(3)
    assert torch.allclose(model().train()(inputs()).image, shown.image, atol=1e-5)


def test_a_smaller_drawing_shows_the_same():
    whole, half = model().eval(), model(feature_size=SIDE // 2).eval()
    half.load_state_dict(whole.state_dict())
    with torch.no_grad():
        large, small = whole(inputs()), half(inputs())
    assert small.raw.shape == large.raw.shape
    middle = small.raw.flatten(1).sub(1).norm(dim=1) / large.raw.flatten(1).sub(1).norm(dim=1)
    assert ((middle > 0.9) & (middle < 1.1)).all()
    assert torch.nn.functional.cosine_similarity((small.raw - 1).flatten(1), (large.raw - 1).flatten(1)).min() > 0.95


class Counts(AsDrawn):
    """Notes how many views there were, and how many heads."""

    def forward(self, feature, alpha, inputs, samples):
        self.seen = len(inputs.gaze), samples
        return super().forward(feature, alpha, inputs, samples)


def test_the_renderer_is_told_which_views_are_heads_of_their_own():
    net = model(wander_rad=0.3)
    net.head = Counts()
    net.train()(inputs())
    assert net.head.seen == (8, 2)
    net.eval()(inputs())
    assert net.head.seen == (2, 2)


def test_geometry_stays_exact_where_networks_run_in_half_the_digits():
    net = model().eval()
    with torch.no_grad():
        exact = net.gaussians(inputs())
        with torch.autocast("cpu", torch.bfloat16):
            assert (net.gaussians(inputs()).mean - exact.mean).abs().max() < 0.3 * 0.01
        for name, stream in (("face", net.backbone.face), ("eyes", net.backbone.eyes)):  # what networks move it by
            stream.shape_deform.layers[-1].weight.zero_()
            stream.shape_deform.layers[-1].bias.fill_(0.125)
            if name == "face":
                stream.pose_deform.layers[-1].weight.zero_()
                stream.pose_deform.layers[-1].bias.fill_(0.125)
        same = net.gaussians(inputs())
        with torch.autocast("cpu", torch.bfloat16):
            found, gaze = net.gaussians(inputs()), camera_gaze(inputs())
    for name in ("mean", "quaternion", "scale", "opacity", "feature"):
        assert getattr(found, name).dtype == torch.float32, name
    assert torch.equal(gaze, camera_gaze(inputs()))
    assert torch.allclose(found.mean, same.mean, atol=1e-5)
    assert torch.allclose(found.quaternion, same.quaternion, atol=2e-3)


def test_codes_of_other_widths_are_refused_with_what_to_set():
    net = model()
    for part in (net, net.backbone):
        with pytest.raises(ValueError, match=r"codes of identity have 4 numbers; backbone.identity is 3: set it to 4"):
            part(replace(inputs(), identity=torch.zeros(2, 4)))
    with pytest.raises(ValueError, match=r"eye_rotation.code is 144.*make 179 numbers; set eye_rotation.code=179"):
        GaussianHead(ExplicitRotation(), identity=100, expression=79, landmarks=50, face_points=4)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"feature_size is 7; expected a divisor of model.image_size=24"):
        model(feature_size=7)
    with pytest.raises(ValueError, match="backbone.face_points is 2; expected 4 or more"):
        GaussianHead(ExplicitRotation(), face_points=2)
