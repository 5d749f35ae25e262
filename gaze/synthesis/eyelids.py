"""The opening between the lids, as curves in a plane in front of the eyes.

Lid coordinates of an eye are cm in the plane z = `LID_PLANE` eyeball radii of the head's frame, from the point in
front of the eyeball's centre: x towards the temple, y down. Both eyes share them by symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.faces import Eyes, Faces
from gaze.types import Record

LID_PLANE = -0.85
CLOSED = 0.05  # an aperture below this is a closed eye


@dataclass(frozen=True)
class Lids(Record):
    """The margins of the lids of each eye."""

    fissure: Float[Tensor, "*b"]  # half the distance between the corners
    upper: Float[Tensor, "*b"]  # height of the margins above and below the line between the corners
    lower: Float[Tensor, "*b"]
    tilt: Float[Tensor, "*b"]

    def margins(self, x: Float[Tensor, "*#n"]) -> tuple[Tensor, Tensor, Tensor]:
        """How open the fissure is there (1 in its middle, 0 at and beyond its corners), and y of both margins."""
        place = x / self.fissure
        base = (1 - place.square()).clamp_min(0)
        root = base.sqrt()
        tilt = self.tilt * x
        upper = -self.upper * root * root.sqrt() * (1 + 0.12 * place) - tilt  # base^0.75
        return base, upper, self.lower * base.pow(0.9) - tilt


def lids_of(faces: Faces, eyes: Eyes) -> Lids:
    """How far the lids are open: they follow the eye up and down, the upper one more."""
    person, pair = faces.subject, eyes.optical.shape[:-1]
    sine = (eyes.optical * faces.rotation[..., None, :, 1]).sum(-1)  # of how far the eye looks down in the head
    down = sine.clamp(-1, 1).asin()

    def each(value: Tensor) -> Tensor:
        return value[..., None].expand(pair)

    radius = each(person.eye_radius)
    lower = (each(person.lower_lid) - 0.125 * radius * down).clamp_min(0.08)
    follow = 0.55 * each(person.lid_follow) * radius * down
    opened = (each(person.upper_lid * faces.aperture) - follow).clamp(0.08, 0.9)
    closed = -0.95 * lower  # the upper lid rests on the lower one
    return Lids(
        fissure=each(person.fissure),
        upper=torch.where(each(faces.aperture) < CLOSED, closed, opened),
        lower=lower,
        tilt=each(person.canthal_tilt),
    )
