"""Small heads to try things on: an ellipsoid with eyes, and samples of it."""

import copy
import functools

import torch
from torch import nn

from gaze.backbones.mesh_head import MeshHead
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.inits import Sphere
from gaze.types import FaceInputs

EYE = 0.34  # how far aside eyes are, canonical units


def landmarks():
    """48 landmarks, 12 of them around two eyes, and 4 vertices behind."""
    generator = torch.Generator().manual_seed(1)
    turn = torch.arange(6) * torch.pi / 3
    ring = torch.stack([0.15 * turn.cos(), 0.08 * turn.sin() + 0.17, torch.full((6,), 0.85)], 1)
    aside = torch.tensor([EYE, 0.0, 0.0])
    face = torch.nn.functional.normalize(torch.randn(36, 3, generator=generator), dim=1)
    face = face * torch.tensor([0.9, 0.9, 0.9])
    behind = torch.tensor([[0.0, 0.9, 0.0], [0.0, -0.9, 0.0], [0.9, 0.0, 0.0], [-0.9, 0.0, 0.0]])
    return torch.cat([face, ring - aside, ring + aside, behind])


def small_mesh_head():
    """A mesh head of about a sphere of radius 0.9."""
    return copy.deepcopy(_fitted())


@functools.cache
def _fitted():
    torch.manual_seed(0)
    head = MeshHead(
        ExplicitRotation(code=12, width=8),
        landmarks=52,
        identity=8,
        expression=4,
        point_feature=6,
        features=4,
        width=16,
        resolution=8,
        low=(-1.4, -1.4, -1.4),
        high=(1.4, 1.4, 1.4),
        eye_radius=0.19,
    )
    with torch.no_grad():
        head.landmarks.copy_(landmarks())
    Sphere(0.9, steps=60, points=512, lr=1e-2)(nn.ModuleDict({"backbone": head}))
    return head


def face_inputs(b, identity=8, expression=4, seed=0):
    """Samples whose heads stand 8 units before a camera of 32 px."""
    generator = torch.Generator().manual_seed(seed)
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    view[2, 3] = 8.0
    camera = torch.tensor([[80.0, 0.0, 16.0], [0.0, 80.0, 16.0], [0.0, 0.0, 1.0]])
    draw = lambda *size: torch.randn(*size, generator=generator)  # noqa: E731
    return FaceInputs(
        gaze=0.2 * draw(b, 2),
        identity=draw(b, identity),
        expression=draw(b, expression),
        pose=0.1 * draw(b, 6),
        scale=1 + 0.1 * torch.rand(b, generator=generator),
        world_to_camera=view.expand(b, 4, 4),
        camera=camera.expand(b, 3, 3),
        sample=torch.arange(b),
    )
