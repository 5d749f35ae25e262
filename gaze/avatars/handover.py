"""What the second stage takes from the first: the surface as Gaussians, and the networks that colour and move it."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.avatars.regions import LEFT_EYE, RIGHT_EYE, eye_points, nearest
from gaze.backbones.gaussian_head import GaussianHead, ball, eye_centres
from gaze.backbones.mesh_head import MeshHead

log = logging.getLogger(__name__)

SUBDIVISIONS = 2  # most; each makes about four times as many points of a surface
SAME = ("identity", "expression", "point_feature", "features", "width", "region_metric")  # of both stages


@torch.no_grad()
def hand_over(mesh: MeshHead, head: GaussianHead, spheres: bool = True, eyes: bool = True) -> None:
    """Fill `head` with what `mesh` learned.

    Args:
        spheres: eyes begin as balls behind the eyes' landmarks, which lids of the face can cover; otherwise they are the
            mesh's vertices there, as published.
        eyes: copy what the first stage knows of turning eyes and of their colour, too.

    Raises:
        ValueError: the first stage has other dimensions, or too few points.
    """
    if problems := differences(mesh, head):
        raise ValueError("; ".join(problems))
    head.landmarks.copy_(mesh.landmarks)
    fewest = len(head.face.splats)
    for subdivisions in range(SUBDIVISIONS + 1):
        surface = mesh.neutral_surface(subdivisions)
        points, feature = surface[0], surface[1]
        own = [eye_points(points, head.landmarks[eye]) for eye in (LEFT_EYE, RIGHT_EYE)]
        others = torch.ones(len(points), dtype=torch.bool, device=points.device)
        others[torch.cat(own)] = False
        rest = others.nonzero()[:, 0]
        if len(rest) >= fewest:
            break
    else:
        raise ValueError(
            f"the mesh of stage 1 has {len(rest)} points beside the eyes, fewer than backbone.face_points={fewest}; expected "
            f"more: set backbone.face_points={len(rest)} or less, or train stage 1 with a larger backbone.resolution"
        )
    chosen = rest[_some(len(rest), fewest).to(rest.device)]
    head.face.splats.place(points[chosen], feature[chosen])
    _place_eyes(head, points, feature, spheres)
    _copy_networks(mesh, head, eyes)
    log.info("%d of %d points of stage 1's surface became the face", fewest, len(points))


def differences(mesh: MeshHead, head: GaussianHead) -> list[str]:
    """In what the dimensions of two stages differ, in words."""
    found = [(name, getattr(mesh, name), getattr(head, name)) for name in SAME]
    found.append(("landmarks", len(mesh.landmarks), len(head.landmarks)))
    return [f"backbone.{name} is {there} in stage 1 and {here} here" for name, there, here in found if there != here]


def _some(count: int, most: int) -> Int[Tensor, "m"]:
    """So many of the numbers below `count`, always the same."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def _place_eyes(head: GaussianHead, points: Float[Tensor, "v 3"], feature: Float[Tensor, "v f"], spheres: bool) -> None:
    count = len(head.eyes.splats) // 2
    if spheres:
        centres = eye_centres(head.landmarks, head.eye_radius)
        places = (centres[:, None] + ball(count, head.eye_radius).to(centres)).flatten(0, 1)
        near = torch.cdist(places, points).argmin(1)
        head.eyes.splats.place(places, feature[near])
        return
    near = torch.cat([nearest(points, head.landmarks[eye]).argsort()[:count] for eye in (LEFT_EYE, RIGHT_EYE)])
    if len(near) < 2 * count:
        raise ValueError(f"the mesh of stage 1 has {len(points)} points; expected at least backbone.eye_points={count}")
    head.eyes.splats.place(points[near], feature[near])


def _copy_networks(mesh: MeshHead, head: GaussianHead, eyes: bool) -> None:
    pairs: list[tuple[str, nn.Module]] = [
        ("shape_colour", head.face.shape_colour),
        ("pose_colour", head.face.pose_colour),
        ("shape_deform", head.face.shape_deform),
        ("pose_deform", head.face.pose_deform),
        ("shape_colour", head.eyes.shape_colour),
        ("shape_deform", head.eyes.shape_deform),
    ]
    pairs += [("eye_colour", head.eyes.eye_colour)] if eyes else []
    for name, module in pairs:
        module.load_state_dict(getattr(mesh, name).state_dict())
    theirs, own = mesh.eye_rotation, head.eyes.rotation
    if eyes and theirs is not None and own is not None and type(theirs) is type(own):
        own.load_state_dict(theirs.state_dict())
    else:
        log.info("what stage 1 knows of turning eyes is not taken over, and begins anew")
