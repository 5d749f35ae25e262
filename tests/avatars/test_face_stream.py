"""The face's Gaussians: networks are asked about those alone that hear them, and the answers are as if about all."""

import torch

from gaze.avatars.encoding import encoded
from gaze.avatars.face_stream import GAIN, PARTS, REACH, FaceStream
from gaze.avatars.regions import near_landmarks


def plainly(stream, landmarks, code, pose):
    """Every network about every Gaussian, mixed by how near it is to a landmark."""
    splats, seen = stream.splats, encoded(pose)
    near = near_landmarks(splats.position, landmarks, stream.region_metric)[:, None].detach()
    what, where = splats.described()[None], encoded(splats.position)[None]

    def mixed(part, end, given):
        shape, other = (getattr(stream, f"{which}_{part}") for which in ("shape", "pose"))
        return near * end(shape(given, code)) + (1 - near) * end(other(given, seen))

    log_scale, turn, logit = (GAIN * mixed("attributes", lambda x: x, what)).split(PARTS, -1)
    return (
        splats.position + REACH * mixed("deform", torch.tanh, where),
        splats.quaternion + turn,
        (splats.log_scale + log_scale).exp(),
        (splats.opacity_logit + logit[..., 0]).sigmoid(),
        mixed("colour", torch.sigmoid, what),
    )


def stream_of(points, seed=0):
    torch.manual_seed(seed)
    stream = FaceStream(len(points), 6, 8, 5, 16)
    stream.splats.place(points, torch.randn(len(points), 8))
    for name, parameter in stream.named_parameters():
        if "attributes" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return stream


def checked(points):
    stream, landmarks = stream_of(points), torch.zeros(1, 3)
    given = torch.randn(2, 6), torch.randn(2, 6)
    weights = [torch.randn_like(value) for value in plainly(stream, landmarks, *given)]
    answers = []
    for make in (stream, lambda *a: plainly(stream, *a)):
        made = make(landmarks, *given)
        loss = sum((value * weight).sum() for value, weight in zip(made, weights, strict=True))
        answers.append((*made, *torch.autograd.grad(loss, list(stream.parameters()))))
    for ours, plain in zip(*answers, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    return near_landmarks(points, landmarks)


def test_gaussians_near_landmarks_far_from_them_and_between_are_what_all_networks_make_of_them():
    near = checked(torch.rand(60, 3, generator=torch.Generator().manual_seed(1)) - 0.5)
    assert (near == 1).any()
    assert (near == 0).any()
    assert ((near > 0) & (near < 1)).any()


def test_all_near_and_all_far():
    cloud = torch.rand(5, 3, generator=torch.Generator().manual_seed(1)) * 0.1
    assert (checked(cloud) == 1).all()
    assert (checked(cloud + 3) == 0).all()
