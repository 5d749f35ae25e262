"""The light on faces and the wall behind them, drawn so that each of a few words is true of the picture.

The words are those of the prompt banks: a model that selects a prompt can be scored against what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.synthesis.draws import Draws
from gaze.synthesis.face_rays import ramp
from gaze.synthesis.faces import Faces, Light
from gaze.synthesis.poses import unit
from gaze.types import Record

WORDS = {
    "illumination": ("even", "dim", "shadow"),
    "head_pose": ("frontal", "turned"),
    "background": ("light", "dark"),
    "eyes": ("seen", "hidden"),  # no bank is about them; figures are told apart by it
}
EVEN, DIM, SHADOW = range(3)
AMBIENT = torch.tensor([[0.62, 0.78], [0.20, 0.30], [0.62, 0.75]], dtype=torch.float64)  # least and most of each light
DIFFUSE = torch.tensor([[0.20, 0.35], [0.06, 0.14], [0.25, 0.45]], dtype=torch.float64)
WALL = torch.tensor([[0.72, 0.95], [0.04, 0.16]], dtype=torch.float64)  # brightness of a light and a dark one
WALL_DIM = 0.6  # what a dark room leaves of the wall's brightness
EDGE = 0.02  # width of a shadow's edge, parts of the face's box
HAND = 0.11  # half the height of a hand over the eyes, parts of the face's box


@dataclass(frozen=True)
class Shadow(Record):
    """A hard shadow on one side of a straight line across the face's box."""

    normal: Float[Tensor, "*b 2"]  # unit vector in the picture, to the dark side
    offset: Float[Tensor, "*b"]  # of the line from the middle of the box, parts of its side
    strength: Float[Tensor, "*b"]  # share of the light that is missing; 0: no shadow


def draw_light(session: Draws, sample: Draws) -> tuple[Light, Shadow, Int[Tensor, "b"]]:
    """The lamps of a session, the shadow that they throw, and the word for both."""
    word = session.integers(0, len(WORDS["illumination"]) - 1)
    toward = torch.stack([session.uniform(-1, 1), session.uniform(-1, 0.2), -session.uniform(0.8, 1.6)], -1)
    light = Light(
        unit(toward + 0.1 * sample.normal(3)), _between(AMBIENT[word], session), _between(DIFFUSE[word], session)
    )
    angle = session.uniform(-0.5, 0.5) + torch.pi * session.integers(0, 1)  # from the left or from the right
    shadow = Shadow(
        torch.stack([angle.cos(), angle.sin()], -1),
        session.uniform(-0.12, 0.12) + 0.02 * sample.normal(),
        torch.where(word == SHADOW, session.uniform(0.5, 0.7), 0.0),
    )
    return light, shadow, word


def draw_background(session: Draws, illumination: Int[Tensor, "b"]) -> tuple[Float[Tensor, "b 3"], Int[Tensor, "b"]]:
    """A wall, and the word for it."""
    word = session.integers(0, len(WORDS["background"]) - 1)
    wall = _between(WALL[word], session)[:, None] + session.uniform(-0.04, 0.04, 3)
    return (wall * torch.where(illumination == DIM, WALL_DIM, 1.0)[:, None]).clamp(0, 1), word


def darkened(
    image: Float[Tensor, "b 3 H W"],
    head: Float[Tensor, "b H W"],
    shadow: Shadow,
    box: Float[Tensor, "b 4"],
    face: Float[Tensor, "b 4"],
) -> Float[Tensor, "b 3 H W"]:
    """Crops with the shadow on the head in them.

    Args:
        head: which part of each pixel shows the head.
        box, face: of the crops and of the face, (x, y, w, h) px of the frame.
    """
    if not (shadow.strength > 0).any():
        return image
    x, y = _places(image, box, face)
    across, down = shadow.normal.float()[:, :, None, None].unbind(1)
    side = ramp(x * across + y * down - shadow.offset.float()[:, None, None], EDGE)
    return image * (1 - shadow.strength.float()[:, None, None] * side * head)[:, None]


def covered(
    image: Float[Tensor, "b 3 H W"],
    faces: Faces,
    hidden: Bool[Tensor, "b"],
    box: Float[Tensor, "b 4"],
    face: Float[Tensor, "b 4"],
) -> Float[Tensor, "b 3 H W"]:
    """Crops in which a hand covers both eyes of those that are hidden."""
    if not hidden.any():
        return image
    x, y = _places(image, box, face)
    eyes = faces.view.project(faces.position[:, None])[:, 0]
    middle = ((eyes - face[:, :2]) / face[:, 2:] - 0.5).float()
    along = faces.rotation[:, :2, 0].float()  # the line between the eyes, as the picture shows it
    along = along / along.norm(dim=-1, keepdim=True)
    dx, dy = x - middle[:, 0, None, None], y - middle[:, 1, None, None]
    beside = (dy * along[:, 0, None, None] - dx * along[:, 1, None, None]).abs()
    hand = ramp(HAND - beside, EDGE) * hidden[:, None, None]
    light = (faces.light.ambient + 0.5 * faces.light.diffuse)[:, None]
    return torch.lerp(image, (0.85 * faces.subject.skin * light).float()[:, :, None, None], hand[:, None])


def _places(
    image: Tensor, box: Float[Tensor, "b 4"], face: Float[Tensor, "b 4"]
) -> tuple[Float[Tensor, "b 1 W"], Float[Tensor, "b H 1"]]:
    """Where the pixels of crops are, from the middle of the face's box and in its sides."""
    height, width = image.shape[-2:]
    start, step = (box[:, :2] - face[:, :2]) / face[:, 2:] - 0.5, box[:, 2:] / face[:, 2:]
    x = start[:, :1] + step[:, :1] * (torch.arange(width) + 0.5) / width
    y = start[:, 1:] + step[:, 1:] * (torch.arange(height) + 0.5) / height
    return x.float()[:, None], y.float()[:, :, None]


def _between(limits: Float[Tensor, "b 2"], draws: Draws) -> Float[Tensor, "b"]:
    least, most = limits.unbind(-1)
    return least + (most - least) * draws.uniform(0, 1)
