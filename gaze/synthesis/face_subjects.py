"""The people in front of synthetic screens: anatomy, lids, faces, colours, glasses and habits.

Lengths are cm, angles radians, colours RGB in [0, 1]. Distributions follow anthropometric tables and, for kappa, the
angle between the optical and the visual axis, measurements of healthy eyes (Basmak et al., "Measurement of angle
kappa with synoptophore and Orbscan II in a normal population", 2007): it is what a camera cannot see and why
appearance-based gaze needs personal calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis import palette
from gaze.synthesis.draws import Draws
from gaze.types import Record

LIGHT_SKIN, DARK_SKIN = (0.95, 0.78, 0.68), (0.28, 0.18, 0.13)


@dataclass(frozen=True)
class Subjects(Record):
    """What never changes about each person."""

    eye_distance: Float[Tensor, "*b"]  # between the centres of the eyeballs
    eye_radius: Float[Tensor, "*b"]
    eye_depth: Float[Tensor, "*b"]  # how far the eyeballs lie behind the head's origin
    iris_radius: Float[Tensor, "*b"]
    kappa_nasal: Float[Tensor, "*b"]  # of the visual axis from the optical one
    kappa_up: Float[Tensor, "*b"]
    kappa_asymmetry: Float[Tensor, "*b"]  # what the left eye has more of `kappa_nasal`, and the right eye less
    fissure: Float[Tensor, "*b"]  # half the distance between the corners of an eye
    upper_lid: Float[Tensor, "*b"]  # how high the upper lid stands above the corners when looking ahead
    lower_lid: Float[Tensor, "*b"]
    canthal_tilt: Float[Tensor, "*b"]  # how much the outer corner is higher, per cm
    lid_follow: Float[Tensor, "*b"]  # how much the upper lid follows the eye down, 0 to 1
    head_axes: Float[Tensor, "*b 3"]  # half axes of the skull
    nose: Float[Tensor, "*b 2"]  # how far it protrudes; its width
    mouth: Float[Tensor, "*b 2"]  # how far it lies below the eyes; half its width
    brow: Float[Tensor, "*b 2"]  # how far it lies below the eyes (negative); its thickness
    skin: Float[Tensor, "*b 3"]
    iris: Float[Tensor, "*b 3"]
    hair: Float[Tensor, "*b 3"]
    glasses: Float[Tensor, "*b"]  # 1 or 0
    rim: Float[Tensor, "*b 3"]  # half width and half height of a lens; thickness of its rim
    rim_colour: Float[Tensor, "*b 3"]
    nearer: Float[Tensor, "*b"]  # habit: what they add to the distance that others keep
    roll: Float[Tensor, "*b"]  # habit: how they tilt their head


def draw_subjects(draws: Draws, kappa_scale: float = 1.0, glasses: float = 0.3) -> Subjects:
    """One person for each row of the draws.

    Args:
        kappa_scale: multiplies how much kappa differs between people and between their eyes; 0: all are alike.
        glasses: the share of people who wear them.
    """

    def normal(mean: float, deviation: float, *limits: float) -> Tensor:
        value = mean + deviation * draws.normal()
        return value.clamp(*limits) if limits else value

    def degrees(mean: float, deviation: float) -> Tensor:
        return torch.deg2rad(normal(mean, kappa_scale * deviation))

    shade = draws.uniform(0, 1, 1)
    light, dark = (torch.tensor(c, dtype=torch.float64) for c in (LIGHT_SKIN, DARK_SKIN))
    return Subjects(
        eye_distance=normal(6.3, 0.33, 5.4, 7.2),
        eye_radius=normal(1.20, 0.04),
        eye_depth=normal(0.0, 0.08),
        iris_radius=normal(0.59, 0.025),
        kappa_nasal=degrees(5.0, 1.6),
        kappa_up=degrees(1.5, 1.3),
        kappa_asymmetry=degrees(0.0, 0.6),
        fissure=normal(1.45, 0.08),
        upper_lid=normal(0.50, 0.07, 0.32, 0.68),
        lower_lid=normal(0.42, 0.05, 0.30, 0.55),
        canthal_tilt=normal(0.05, 0.05),
        lid_follow=draws.uniform(0.5, 0.9),
        head_axes=torch.stack([normal(7.4, 0.4), normal(11.0, 0.6), normal(9.5, 0.5)], -1),
        nose=torch.stack([normal(2.3, 0.3), normal(1.6, 0.2)], -1),
        mouth=torch.stack([normal(7.2, 0.5), normal(2.6, 0.3)], -1),
        brow=torch.stack([normal(-2.1, 0.25), normal(0.32, 0.08, 0.12, 0.6)], -1),
        skin=(light + shade * (dark - light) + draws.uniform(-0.02, 0.02, 3)).clamp(0, 1),
        iris=(draws.pick(palette.EYES) + draws.uniform(-0.025, 0.025, 3)).clamp(0, 1),
        hair=palette.HAIRS[0] + (draws.pick(palette.HAIRS) - palette.HAIRS[0]) * (1 - shade).square(),
        glasses=(draws.uniform(0, 1) < glasses).double(),
        rim=torch.stack([normal(2.6, 0.15), normal(1.9, 0.15), draws.uniform(0.12, 0.35)], -1),
        rim_colour=draws.pick(palette.RIMS),
        nearer=normal(0.0, 3.0),
        roll=normal(0.0, math.radians(3)),
    )
