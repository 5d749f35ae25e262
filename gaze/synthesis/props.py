"""Things as shapes: objects with their stands and threads, clutter, pictures."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from gaze.synthesis.boxes import boxes
from gaze.synthesis.camera import Camera
from gaze.synthesis.ellipsoids import ellipsoids
from gaze.synthesis.frustums import frustums
from gaze.synthesis.lights import light_of
from gaze.synthesis.placement import HALF_HEIGHTS
from gaze.synthesis.poses import rotation
from gaze.synthesis.primitives import Primitive
from gaze.synthesis.scenes import BALL, BOX, CONE, CYLINDER, ON_STAND, ON_THREAD, Room, Scenes, Things
from gaze.synthesis.shadows import shadows

SUPPORT, THING = 0, 1  # layers
METAL = (0.42, 0.42, 0.45)


def props(scenes: Scenes) -> list[Primitive]:
    """The shapes of everything that isn't a person."""
    camera, room = scenes.camera, scenes.room
    return [*_pictures(scenes), *_things(camera, room, scenes.clutter), *_things(camera, room, scenes.objects)]


def _things(camera: Camera, room: Room, things: Things) -> list[Primitive]:
    shapes: list[Primitive] = []
    scene, place = things.present.nonzero(as_tuple=True)
    rows = {name: value[scene, place] for name, value in vars(things).items()}
    height = room.floor[scene] - rows["center"][:, 1]
    strength = 0.6 / (1 + 0.25 * (height - rows["radius"]).clamp_min(0))
    below = rows["center"].clone()
    below[:, 1] = room.floor[scene]
    shapes.append(shadows(camera, below, 1.7 * rows["radius"], strength, scene))
    for kind, draw in ((BALL, _balls), (BOX, _boxes), (CYLINDER, _cylinders), (CONE, _cones)):
        some = (rows["shape"] == kind).nonzero()[:, 0]
        shapes.append(draw(camera, room, scene[some], {name: value[some] for name, value in rows.items()}))
    shapes.extend(_supports(camera, room, scene, rows))
    return shapes


def _shared(room: Room, scene: Int64[Tensor, "m"], center: Float64[Tensor, "m 3"], layer: int) -> dict[str, Any]:
    light = light_of(room, scene)
    return {
        "scene": scene,
        "depth": center[:, 2],
        "layer": torch.full_like(scene, layer),
        "toward_light": light.toward,
        "ambient": light.ambient,
    }


def _balls(camera: Camera, room: Room, scene: Tensor, rows: dict[str, Tensor]) -> Primitive:
    """Balls with a coloured cap on either end of an axis."""
    center, count = rows["center"], len(scene)
    turn = rotation(torch.full_like(rows["yaw"], 0.5), rows["yaw"], rows["yaw"])
    axis = center.new_tensor([0.0, 1.0, 0.0])
    caps = (
        torch.stack([axis, -axis]).expand(count, 2, 3),
        center.new_tensor([0.62, 0.62]).expand(count, 2),
        rows["trim"][:, None].expand(-1, 2, -1),
    )
    axes = rows["radius"][:, None].expand(-1, 3)
    return ellipsoids(camera, center, axes, turn, color=rows["color"], caps=caps, **_shared(room, scene, center, THING))


def _boxes(camera: Camera, room: Room, scene: Tensor, rows: dict[str, Tensor]) -> Primitive:
    half = (HALF_HEIGHTS[BOX] * rows["radius"])[:, None].expand(-1, 3)
    shared = _shared(room, scene, rows["center"], THING)
    return boxes(camera, rows["center"], half, rows["yaw"], color=rows["color"], **shared)


def _cylinders(camera: Camera, room: Room, scene: Tensor, rows: dict[str, Tensor]) -> Primitive:
    radii = torch.stack([0.72 * rows["radius"]] * 2, 1)
    return _upright(camera, room, scene, rows, radii, HALF_HEIGHTS[CYLINDER], (0.36, 0.64))


def _cones(camera: Camera, room: Room, scene: Tensor, rows: dict[str, Tensor]) -> Primitive:
    radii = torch.stack([0.85 * rows["radius"], 0 * rows["radius"]], 1)
    return _upright(camera, room, scene, rows, radii, HALF_HEIGHTS[CONE], (2.0, 3.0))


def _upright(
    camera: Camera,
    room: Room,
    scene: Tensor,
    rows: dict[str, Tensor],
    radii: Tensor,
    half: Tensor,
    band: tuple[float, float],
) -> Primitive:
    base = rows["center"].clone()
    base[:, 1] += half * rows["radius"]
    return frustums(
        camera,
        base,
        2 * half * rows["radius"],
        radii,
        color=rows["color"],
        band=base.new_tensor(band).expand(len(scene), 2),
        band_color=rows["trim"],
        **_shared(room, scene, rows["center"], THING),
    )


def _supports(camera: Camera, room: Room, scene: Tensor, rows: dict[str, Tensor]) -> list[Primitive]:
    """A pole on a round foot below what stands, a thread to beyond the frame above what hangs."""
    bottom = rows["center"][:, 1] + (HALF_HEIGHTS[rows["shape"]] * rows["radius"])
    stands = (rows["support"] == ON_STAND).nonzero()[:, 0]
    hangs = (rows["support"] == ON_THREAD).nonzero()[:, 0]
    floor = room.floor[scene]

    def rod(some: Tensor, foot: Tensor, height: Tensor, radius: float) -> Primitive:
        base = torch.stack([rows["center"][some, 0], foot, rows["center"][some, 2]], 1)
        radii = base.new_tensor([radius, radius]).expand(len(some), 2)
        color = base.new_tensor(METAL).expand(len(some), 3)
        shared = _shared(room, scene[some], base, SUPPORT)
        return frustums(camera, base, height.clamp_min(0.02), radii, color=color, **shared)

    feet = floor[stands]
    top = rows["center"][hangs, 1] - 0.8 * HALF_HEIGHTS[rows["shape"][hangs]] * rows["radius"][hangs]
    above_frame = -(camera.rows(scene[hangs]) + 10) * rows["center"][hangs, 2] / camera.focal
    return [
        rod(stands, feet, torch.full_like(feet, 0.08), 0.42),
        rod(stands, feet - 0.08, feet - 0.08 - bottom[stands], 0.07),
        rod(hangs, top, top - above_frame, 0.03),
    ]


def _pictures(scenes: Scenes) -> list[Primitive]:
    """A frame, and in it the picture."""
    camera, room, pictures = scenes.camera, scenes.room, scenes.pictures
    scene, place = pictures.present.nonzero(as_tuple=True)
    center, radius = pictures.center[scene, place], pictures.radius[scene, place]
    shapes: list[Primitive] = []
    for layer, (share, color) in enumerate(((1.0, pictures.trim), (0.86, pictures.color))):
        half = radius[:, None] * center.new_tensor([share * 1.25, share - 0.03 * layer, 0.01])
        shared = _shared(room, scene, center, layer)
        paint = color[scene, place] * (0.55 if layer == 0 else 1.0)
        shapes.append(boxes(camera, center, half, torch.zeros_like(radius), color=paint, **shared))
    return shapes
