"""Eyes as rays see them: sclera, iris, pupil and glint between lids, with lashes and the crease above.

Few pixels of a crop show an eye, so those are picked out and computed as one flat list [n] over all samples; a pixel
belongs to the eye of its side of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.synthesis.eyelids import LID_PLANE, Lids, lids_of
from gaze.synthesis.face_rays import Rays, ramp
from gaze.synthesis.faces import Eyes, Faces

SCLERA = torch.tensor([0.93, 0.90, 0.88])
CORNEA_CENTRE, CORNEA_RADIUS = 0.47, 0.78  # cm along the optical axis; cm
GLINT = 180.0  # exponent
LENS_MINIFIES = 0.03  # glasses of a short-sighted person
REACH_X, REACH_UP, REACH_DOWN = 1.12, 1.5, 1.0  # of what is drawn: fissures aside, cm above and below
REFRACTED_PUPIL, REFRACTED_DEPTH = 1.12, 0.9  # what the cornea does to the look of pupil and iris


@dataclass(frozen=True)
class Sight:
    """What the picked pixels see of an eye."""

    sample: Int[Tensor, "n"]
    pixel: Int[Tensor, "n"]
    colour: Float[Tensor, "3 n"]  # lit
    visible: Float[Tensor, "n"]  # part of the pixel between the lids
    iris: Float[Tensor, "n"]  # part of the pixel that is iris or pupil
    dark: Float[Tensor, "n"]  # what lashes and crease leave of the skin's brightness
    depth: Float[Tensor, "n"]  # cm


def see_eyes(faces: Faces, eyes: Eyes, rays: Rays, toward: Float[Tensor, "b 3"], refraction: bool) -> Sight:
    """The pixels near eyes.

    Args:
        toward: direction of the light in the head's frame.
        refraction: show pupil and iris as through a cornea.
    """
    ox, oy, oz = rays.origin
    dx, dy, dz = rays.direction
    person = faces.subject
    depth = (LID_PLANE * person.eye_radius[:, None] - oz) / dz
    x, y = ox + depth * dx, oy + depth * dy
    aside = x.abs() - person.eye_distance[:, None] / 2
    reach = REACH_X * person.fissure[:, None]
    near = (aside.abs() < reach) & (y > -REACH_UP) & (y < REACH_DOWN) & (dz > 0.3)
    sample, pixel = near.nonzero(as_tuple=True)
    side = torch.where(x[near] > 0, 1.0, -1.0)
    table = _table(faces, eyes, rays, toward)
    own = table.index_select(1, 2 * sample + (side < 0))
    return _look(own, sample, pixel, side, (dx[near], dy[near], dz[near]), aside[near], y[near], refraction)


COLUMNS = (
    ("ox oy oz footprint ambient diffuse lx ly lz glasses pupil radius iris_radius red green blue half_distance plane")
    + " centre_z ax ay az fissure upper lower tilt"
).split()
COLUMN = {name: i for i, name in enumerate(COLUMNS)}


def _table(faces: Faces, eyes: Eyes, rays: Rays, toward: Tensor) -> Float[Tensor, "k m"]:
    """What pixels need to know: one row per name of `COLUMNS`, one column per eye."""
    person, lids = faces.subject, lids_of(faces, eyes)
    shared = torch.stack(
        [
            *(o[:, 0] for o in rays.origin),
            rays.footprint[:, 0],
            faces.light.ambient,
            faces.light.diffuse,
            *toward.unbind(1),
            person.glasses,
            faces.pupil,
            person.eye_radius,
            person.iris_radius,
            *person.iris.unbind(1),
            person.eye_distance / 2,
            LID_PLANE * person.eye_radius,
            person.eye_depth,
        ]
    )
    axis = (eyes.optical @ faces.rotation).permute(2, 0, 1)  # in the head's frame
    each = torch.stack([*axis, lids.fissure, lids.upper, lids.lower, lids.tilt])
    return torch.cat([shared.repeat_interleave(2, 1), each.flatten(1)])


def _look(
    own: Tensor,
    sample: Tensor,
    pixel: Tensor,
    side: Tensor,
    direction: tuple[Tensor, Tensor, Tensor],
    x: Tensor,
    y: Tensor,
    refraction: bool,
) -> Sight:
    row = dict(zip(COLUMNS, own, strict=True))
    soft = row["footprint"]
    base, upper, lower = Lids(row["fissure"], row["upper"], row["lower"], row["tilt"]).margins(x)
    below_lid = y - upper
    visible = ramp(below_lid, 1.2 * soft) * ramp(lower - y, 1.2 * soft) * ramp(base - 0.03, 0.06 + 0.5 * soft)
    dx, dy, dz = direction
    thick = LENS_MINIFIES * row["glasses"] / (row["plane"] - row["oz"]) * dz
    dx, dy = dx + side * x * thick, dy + y * thick  # through a lens everything seems nearer to its middle
    px, py, pz = row["ox"] - side * row["half_distance"], row["oy"], row["oz"] - row["centre_z"]
    depth, nx, ny, nz = _on_sphere((px, py, pz), (dx, dy, dz), row["radius"])
    ix, iy, iz = (nx, ny, nz)
    scale = row["radius"]
    if refraction:
        scale = REFRACTED_DEPTH * row["radius"]
        _, ix, iy, iz = _on_sphere((px, py, pz), (dx, dy, dz), scale)
    ax, ay, az = row["ax"], row["ay"], row["az"]
    chord = (ix - ax).square() + (iy - ay).square() + (iz - az).square()
    arc = chord.sqrt() * (1 + chord / 24 * (1 + 0.1125 * chord)) * scale  # 2 asin(chord / 2)
    iris = ramp(row["iris_radius"] - arc, 1.2 * soft)
    pupil = ramp(row["pupil"] * (REFRACTED_PUPIL if refraction else 1.0) - arc, 1.2 * soft)
    part = arc / row["iris_radius"]
    limbus = 1 - 0.6 * (-((part - 1) * row["iris_radius"] / 0.07).square()).exp()
    tone = (1.25 - 0.35 * part) * limbus * (1 - 0.93 * pupil)
    lx, ly, lz = row["lx"], row["ly"], row["lz"]
    cosine = (nx * lx + ny * ly + nz * lz).clamp_min(0)
    light = row["ambient"] + 0.8 * row["diffuse"] * cosine + 0.1
    light = light * (1 - 0.45 * (-(below_lid.clamp_min(0)) / 0.18).exp())
    glint = _glint(row, (dx, dy, dz), (nx, ny, nz), soft) * iris
    base_colour = SCLERA[:, None].to(own) * (1 - iris)
    hue = torch.stack([row["red"], row["green"], row["blue"]])
    colour = (base_colour + hue * (tone * iris)) * light + 0.9 * glint
    return Sight(sample, pixel, colour, visible, iris * visible, _lashes(base, below_lid, soft), depth)


def _on_sphere(
    start: tuple[Tensor, Tensor, Tensor], direction: tuple[Tensor, Tensor, Tensor], radius: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depth and normal where rays meet a sphere about the origin, or come nearest to it.

    The corners of a fissure reach beyond the ball; they see sclera all the same.
    """
    (px, py, pz), (dx, dy, dz) = start, direction
    squared = dx * dx + dy * dy + dz * dz
    along = px * dx + py * dy + pz * dz
    rest = along * along - squared * (px * px + py * py + pz * pz - radius * radius)
    depth = (-along - rest.clamp_min(0).sqrt()) / squared
    nx, ny, nz = px + depth * dx, py + depth * dy, pz + depth * dz
    length = (nx * nx + ny * ny + nz * nz).rsqrt()
    return depth, nx * length, ny * length, nz * length


def _glint(
    row: dict[str, Tensor],
    direction: tuple[Tensor, Tensor, Tensor],
    normal: tuple[Tensor, Tensor, Tensor],
    soft: Tensor,
) -> Tensor:
    """The reflection of the light on the cornea, a smaller ball in front of the eyeball's centre.

    A lobe narrower than a pixel is widened to it and keeps its energy, or it would sparkle between pixels.
    """
    nx, ny, nz = (n * row["radius"] - CORNEA_CENTRE * row[a] for n, a in zip(normal, ("ax", "ay", "az"), strict=True))
    dx, dy, dz = direction
    back = (dx * dx + dy * dy + dz * dz).rsqrt()
    hx, hy, hz = row["lx"] - dx * back, row["ly"] - dy * back, row["lz"] - dz * back
    squared = (nx * nx + ny * ny + nz * nz) * (hx * hx + hy * hy + hz * hz)
    cosine = (nx * hx + ny * hy + nz * hz).clamp_min(0) * squared.rsqrt()
    exponent = 1 / (1 / GLINT + 0.25 * (soft / CORNEA_RADIUS).square())
    return cosine.pow(exponent) * (exponent / GLINT)


def _lashes(base: Tensor, below_lid: Tensor, soft: Tensor) -> Tensor:
    """What is left of the light on lashes and in the crease of the upper lid."""
    open_part = ramp(base - 0.06, 0.06)
    wide = (0.06**2 + 0.2 * soft.square()).sqrt()
    lash = 0.75 * (0.06 / wide) * (-((below_lid + 0.03) / wide).square()).exp()
    deep = (0.07**2 + 0.2 * soft.square()).sqrt()
    crease = 0.3 * (0.07 / deep) * (-((below_lid + 0.32) / deep).square()).exp()
    return 1 - (lash + crease) * open_part
