"""What the second stage takes from the first: the surface as Gaussians, and the networks that colour and move it."""

from __future__ import annotations

import logging
from itertools import islice

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from gaze.avatars.eyeballs import ball, eye_centres
from gaze.avatars.regions import LEFT_EYE, RIGHT_EYE, eye_points
from gaze.backbones.gaussian_head import GaussianHead
from gaze.backbones.mesh_head import MeshHead

log = logging.getLogger(__name__)

SUBDIVISIONS = 2  # most; each makes about four times as many points of a surface
SAME = ("identity", "expression", "point_feature", "features", "width", "region_metric", "eye_radius")  # of both stages


@torch.no_grad()
def hand_over(mesh: MeshHead, head: GaussianHead, spheres: bool = True, eyes: bool = True) -> None:
    """Fill `head` with what `mesh` learned.

    The surface is cut as fine as it takes. Vertices at the eyes, as published those whose squared distance to an eye's
    landmarks is among the first 0.5 % of its range, become eyes, or make room for them; the rest becomes the face.

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
    face, each = len(head.face.splats), len(head.eyes.splats) // 2
    for surface in islice(mesh.finer_surfaces(), 1 + SUBDIVISIONS):
        points, feature = surface.points, surface.feature
        own, rest = _parted(points, head.landmarks)
        lacking = _lacking(len(rest), face, *([] if spheres else [min(map(len, own)), each]))
        if not lacking:
            break
    else:
        raise ValueError(lacking)
    chosen = rest[_some(len(rest), face).to(rest.device)]
    head.face.splats.place(points[chosen], feature[chosen])
    if spheres:
        _place_balls(head, points, feature)
    else:
        vertices = torch.cat([eye[_spread(len(eye), each).to(eye.device)] for eye in own])
        head.eyes.splats.place(points[vertices], feature[vertices])
    _copy_networks(mesh, head, eyes)
    log.info("%d of %d points of stage 1's surface became the face", face, len(points))


def differences(mesh: MeshHead, head: GaussianHead) -> list[str]:
    """In what the dimensions of two stages differ, in words."""
    found = [(name, getattr(mesh, name), getattr(head, name)) for name in SAME]
    found.append(("landmarks", len(mesh.landmarks), len(head.landmarks)))
    return [f"backbone.{name} is {there} in stage 1 and {here} here" for name, there, here in found if there != here]


def _parted(points: Float[Tensor, "v 3"], landmarks: Float[Tensor, "l 3"]) -> tuple[list[Tensor], Int[Tensor, "r"]]:
    """Numbers of the vertices of the left eye, of the right one, and of neither; each vertex is in one of them."""
    left, right = (eye_points(points, landmarks[eye]) for eye in (LEFT_EYE, RIGHT_EYE))
    right = right[~torch.isin(right, left)]
    others = torch.ones(len(points), dtype=torch.bool, device=points.device)
    others[torch.cat([left, right])] = False
    return [left, right], others.nonzero()[:, 0]


def _lacking(face: int, face_points: int, eye: int = 0, eye_points: int = 0) -> str:
    """What there are too few vertices for, in words, if anything."""
    for name, there, wanted in (("face_points", face, face_points), ("eye_points", eye, eye_points)):
        if there < wanted:
            where = "beside the eyes" if name == "face_points" else "at an eye"
            return (
                f"the mesh of stage 1 has {there} points {where}, fewer than backbone.{name}={wanted}; expected as many or "
                f"more: set backbone.{name}={there} or less, or train stage 1 with a larger backbone.resolution"
            )
    return ""


def _some(count: int, most: int) -> Int[Tensor, "m"]:
    """So many of the numbers below `count`, always the same."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def _spread(count: int, most: int) -> Int[Tensor, "m"]:
    """So many of the numbers below `count`, evenly; vertices are in the order of the grid, so all of an eye is covered."""
    return torch.arange(most) * count // most


def _place_balls(head: GaussianHead, points: Float[Tensor, "v 3"], feature: Float[Tensor, "v f"]) -> None:
    """Balls for eyes, each of whose points is coloured as the nearest vertex."""
    centres = eye_centres(head.landmarks, head.eye_radius)
    places = (centres[:, None] + ball(len(head.eyes.splats) // 2, head.eye_radius).to(centres)).flatten(0, 1)
    near = cKDTree(points.cpu().numpy()).query(places.cpu().numpy())[1]
    head.eyes.splats.place(places, feature[torch.from_numpy(near).to(feature.device)])


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
