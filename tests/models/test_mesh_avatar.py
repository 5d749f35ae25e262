"""The mesh of a head, drawn: where it is, what of it is given, and that it can be learned."""

from dataclasses import replace

import pytest
import torch

from gaze.models.mesh_avatar import MeshAvatar
from gaze.rasterize.rasterizer import Rasterizer
from tests.avatars.heads import face_inputs, small_mesh_head


def avatar(**options):
    return MeshAvatar(small_mesh_head(), Rasterizer("torch"), image_size=32, **options)


def test_a_prediction_has_all_that_losses_read():
    model = avatar()
    prediction = model(face_inputs(2))
    assert prediction.image.shape == (2, 3, 32, 32)
    assert prediction.alpha.shape == prediction.depth.shape == (2, 32, 32)
    assert prediction.landmarks.shape == (2, 52, 3)
    total = prediction.image.mean() + prediction.alpha.mean() + prediction.deformation
    (total + prediction.surface_distance + prediction.roughness).backward()
    learned = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.isfinite().all()}
    # The eyes' turn about themselves begins without a say of gaze's network, but all else learns.
    assert learned == {name for name, _ in model.named_parameters()}


def test_a_head_is_where_its_pose_puts_it_and_white_around():
    model = avatar()
    straight = torch.zeros(2, 6)
    straight[1, 3:] = torch.tensor([0.3, 0.0, 0.0])  # 3 px to the right, as 80 px / 8 is one of 10
    inputs = replace(face_inputs(2), pose=straight, scale=torch.ones(2))
    inputs = replace(inputs, identity=inputs.identity[:1].expand(2, -1), expression=inputs.expression[:1].expand(2, -1))
    inputs = replace(inputs, gaze=torch.zeros(2, 2))
    prediction = model(inputs).map(torch.detach)
    centre = (prediction.alpha * (torch.arange(32) + 0.5)).sum((1, 2)) / prediction.alpha.sum((1, 2))
    assert float(centre[0]) == pytest.approx(16.0, abs=1.0)
    assert float(centre[1] - centre[0]) == pytest.approx(3.0, abs=0.3)
    assert (prediction.image[:, :, 0, 0] == 1).all()
    assert prediction.alpha[0, 16, 16] > 0.95
    assert prediction.depth[0, 16, 16] == pytest.approx(8 - 0.9, abs=0.3)


def test_a_smaller_drawing_is_the_same_picture():
    inputs = face_inputs(1)
    large, small = avatar()(inputs), avatar(feature_size=16)(inputs)
    assert small.image.shape == large.image.shape
    assert float(small.alpha.detach().mean()) == pytest.approx(float(large.alpha.detach().mean()), rel=0.1)
    assert small.depth.shape == (1, 16, 16)
    with pytest.raises(ValueError, match=r"feature_size is 20.*divisor of model.image_size=32"):
        avatar(feature_size=20)


def test_steps_make_a_picture_more_like_another():
    model = avatar()
    inputs = face_inputs(1)
    wanted = torch.ones(1, 3, 32, 32)
    wanted[:, 0, 8:24, 8:24] = 0.2
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(12):
        error = (model(inputs).image - wanted).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.8 * errors[0], errors
