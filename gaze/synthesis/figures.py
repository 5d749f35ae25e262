"""People as shapes: head with hair, ears, nose, mouth, brows and eyes; shoulders, body and arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from gaze.geometry import vector_to_pitch_yaw
from gaze.synthesis.ellipsoids import Ellipsoids, ellipsoids
from gaze.synthesis.frustums import frustums
from gaze.synthesis.lights import light_of
from gaze.synthesis.poses import moved, unit, upright
from gaze.synthesis.primitives import Primitive
from gaze.synthesis.scenes import EYE_CENTERS, HEAD_AXES, Looks, Scenes
from gaze.synthesis.shadows import shadows

# What is painted over what on one person. Loose hair and arms go before or after, as they lie.
BACK_HAIR, BACK_ARM, TRUNK, SHOULDERS, NECK, FRONT_ARM, SKULL, FACE, EYES, NOSE, HAIR, FRONT_HAIR = range(12)
LONG, BUN, BALD = 1, 2, 3  # hair styles with a consequence
SHOULDER_DROP = 1.3  # from the head's centre to the shoulders, in head radii
# Features on the skull in head radii: centre, half axes, share of skin, share of hair colour; the rest is red.
FEATURES = (
    ((-0.93, 0.06, 0.08), (0.10, 0.24, 0.18), 0.93, 0.0),  # ears
    ((0.93, 0.06, 0.08), (0.10, 0.24, 0.18), 0.93, 0.0),
    ((0.0, 0.50, -0.82), (0.26, 0.055, 0.12), 0.45, 0.0),  # mouth
    ((-0.34, -0.40, -0.84), (0.21, 0.045, 0.12), 0.1, 0.9),  # brows
    ((0.34, -0.40, -0.84), (0.21, 0.045, 0.12), 0.1, 0.9),
)


@dataclass(frozen=True)
class Bodies:
    """The people who are present, one row each."""

    scene: Int64[Tensor, "m"]
    head: Float64[Tensor, "m 3"]
    radius: Float64[Tensor, "m"]
    rotation: Float64[Tensor, "m 3 3"]
    body_yaw: Float64[Tensor, "m"]
    target: Float64[Tensor, "m 3"]
    floor: Float64[Tensor, "m"]
    looks: Looks  # one row each, too


def figures(scenes: Scenes) -> list[Primitive]:
    """The shapes of all people of all scenes."""
    people, room = scenes.people, scenes.room
    scene, place = people.present.nonzero(as_tuple=True)
    at = (scene, place)
    bodies = Bodies(
        scene=scene,
        head=people.head[at],
        radius=people.radius[at],
        rotation=people.rotation[at],
        body_yaw=people.body_yaw[at],
        target=people.target[at],
        floor=room.floor[scene],
        looks=Looks(*(value[at] for value in vars(people.looks).values())),
    )
    skull = _skull(scenes, bodies)
    return [
        *_body(scenes, bodies),
        skull,
        _features(scenes, bodies, skull),
        _eyes(scenes, bodies, skull),
        *_hair(scenes, bodies),
    ]


def eyeballs(
    head: Float64[Tensor, "m 3"], rotation: Float64[Tensor, "m 3 3"], radius: Float64[Tensor, "m"]
) -> Float64[Tensor, "m 2 3"]:
    """The centres of both eyes of each head."""
    offset = torch.tensor(EYE_CENTERS, dtype=torch.float64) * radius[:, None, None]
    return moved(head[:, None], rotation[:, None], offset)


def _shape(scenes: Scenes, bodies: Bodies, layer: int | Tensor, repeat: int = 1) -> dict[str, Any]:
    """What all shapes of a person share; each row `repeat` times."""
    scene = bodies.scene.repeat_interleave(repeat)
    light = light_of(scenes.room, scene)
    return {
        "scene": scene,
        "depth": bodies.head[:, 2].repeat_interleave(repeat),
        "layer": torch.full_like(scene, layer) if isinstance(layer, int) else layer,
        "toward_light": light.toward,
        "ambient": light.ambient,
    }


def _skull(scenes: Scenes, bodies: Bodies) -> Ellipsoids:
    axes = torch.tensor(HEAD_AXES, dtype=torch.float64) * bodies.radius[:, None]
    shared = _shape(scenes, bodies, SKULL)
    return ellipsoids(scenes.camera, bodies.head, axes, bodies.rotation, color=bodies.looks.skin, **shared)


def _features(scenes: Scenes, bodies: Bodies, skull: Ellipsoids) -> Ellipsoids:
    count, people = len(FEATURES) + 1, len(bodies.scene)
    nose = ((0.0, 0.18, -1.0), (0.15, 0.19, 0.19), 0.9, 0.0)
    table = [*FEATURES, nose]
    offset, axes = (torch.tensor([row[i] for row in table], dtype=torch.float64) for i in (0, 1))
    skin, hair = (torch.tensor([row[i] for row in table], dtype=torch.float64)[:, None] for i in (2, 3))
    red = torch.tensor([0.80, 0.25, 0.25], dtype=torch.float64)
    color = skin * bodies.looks.skin[:, None] + hair * bodies.looks.hair[:, None] + (1 - skin - hair) * red
    layer = torch.tensor([FACE] * (count - 1) + [NOSE]).repeat(people)
    size = bodies.radius[:, None, None]
    return ellipsoids(
        scenes.camera,
        moved(bodies.head[:, None], bodies.rotation[:, None], offset * size).flatten(0, 1),
        (axes * size).flatten(0, 1),
        bodies.rotation.repeat_interleave(count, 0),
        color=color.flatten(0, 1),
        host=skull.take(torch.arange(people).repeat_interleave(count)),
        **_shape(scenes, bodies, layer, repeat=count),
    )


def _eyes(scenes: Scenes, bodies: Bodies, skull: Ellipsoids) -> Ellipsoids:
    """White balls with iris and pupil around the axis to the target, and a glint."""
    people = len(bodies.scene)
    twice = torch.arange(people).repeat_interleave(2)
    center = eyeballs(bodies.head, bodies.rotation, bodies.radius).flatten(0, 1)
    shared = _shape(scenes, bodies, EYES, repeat=2)
    turn = bodies.rotation[twice]
    axis = (turn.transpose(1, 2) @ unit(bodies.target[twice] - center)[..., None])[..., 0]
    to_camera = (turn.transpose(1, 2) @ unit(-center)[..., None])[..., 0]
    toward_light = (turn.transpose(1, 2) @ shared["toward_light"][..., None])[..., 0]
    glint = unit(axis + 0.35 * unit(to_camera + toward_light))
    edges = torch.tensor([0.72, 0.87, 0.985], dtype=torch.float64).expand(2 * people, 3)  # 44°, 30°, 10°
    black, shine = torch.tensor([0.05, 0.05, 0.06]).double(), torch.tensor([0.95, 0.97, 1.0]).double()
    paints = torch.stack([bodies.looks.iris[twice], black.expand(2 * people, 3), shine.expand(2 * people, 3)], 1)
    size = (bodies.looks.eye_radius * bodies.radius)[twice]
    shared["ambient"] = 0.5 + 0.5 * shared["ambient"]  # eyes stay white in the shade
    return ellipsoids(
        scenes.camera,
        center,
        size[:, None].expand(-1, 3),
        turn,
        color=torch.tensor([0.97, 0.97, 0.95]).double().expand(2 * people, 3),
        caps=(torch.stack([axis, axis, glint], 1), edges, paints),
        host=skull.take(twice),
        **shared,
    )


def _hair(scenes: Scenes, bodies: Bodies) -> list[Primitive]:
    """A shell over the skull behind the hairline, and what hangs or sits behind it."""
    looks, size = bodies.looks, bodies.radius[:, None]
    shell = torch.tensor([1.0, 1.12, 1.07], dtype=torch.float64) * size
    hairline = torch.where(looks.hair_style == LONG, 0.02, 0.14)
    hairline = torch.where(looks.hair_style == BALD, 2.0, hairline).double()
    axis = torch.tensor([0.0, -0.72, 0.69], dtype=torch.float64).expand(len(size), 3)
    cap = ellipsoids(
        scenes.camera,
        bodies.head,
        shell,
        bodies.rotation,
        color=looks.hair,
        cut=torch.cat([axis, hairline[:, None]], 1),
        **_shape(scenes, bodies, HAIR),
    )
    some = ((looks.hair_style == LONG) | (looks.hair_style == BUN)).nonzero()[:, 0]
    long = (looks.hair_style[some] == LONG)[:, None]
    offset = torch.where(long, torch.tensor([0.0, 0.42, 0.48]), torch.tensor([0.0, -0.85, 0.72])).double()
    axes = torch.where(long, torch.tensor([0.95, 1.12, 0.56]), torch.tensor([0.42, 0.42, 0.42])).double()
    # Long hair hangs: it turns with the head but doesn't nod.
    turn = torch.where(
        long[..., None], upright(vector_to_pitch_yaw(-bodies.rotation[some, :, 2])[:, 1]), bodies.rotation[some]
    )
    center = moved(bodies.head[some], turn, offset * size[some])
    layer = torch.where(center[:, 2] > bodies.head[some, 2], BACK_HAIR, FRONT_HAIR)
    shared = {k: v if k == "layer" else v[some] for k, v in _shape(scenes, bodies, 0).items()}
    shared["layer"] = layer
    loose = ellipsoids(scenes.camera, center, axes * size[some], turn, color=0.92 * looks.hair[some], **shared)
    return [cap, loose]


def _body(scenes: Scenes, bodies: Bodies) -> list[Primitive]:
    head, size, looks = bodies.head, bodies.radius, bodies.looks
    camera, turn = scenes.camera, upright(bodies.body_yaw)
    shoulders = head + torch.stack([0 * size, SHOULDER_DROP * size, 0 * size], 1)
    feet = torch.stack([head[:, 0], bodies.floor, head[:, 2]], 1)
    length = (bodies.floor - shoulders[:, 1]).clamp_min(0.2)
    belt = torch.stack([torch.full_like(size, -1.0), torch.full_like(size, 0.42)], 1)
    trunk = frustums(
        camera,
        feet,
        length,
        torch.stack([0.86 * size, 0.66 * size], 1),
        color=looks.cloth,
        band=belt,
        band_color=looks.trousers,
        **_shape(scenes, bodies, TRUNK),
    )

    def part(
        offset: tuple[float, float, float],
        axes: tuple[float, float, float],
        paint: Tensor,
        layer: int | Tensor,
        frame: Tensor,
    ) -> Primitive:
        at = moved(shoulders, frame, torch.tensor(offset, dtype=torch.float64) * size[:, None])
        radii = torch.tensor(axes, dtype=torch.float64) * size[:, None]
        return ellipsoids(camera, at, radii, frame, color=paint, **_shape(scenes, bodies, layer))

    shapes: list[Primitive] = [trunk]
    shapes.append(part((0, 0.05, 0), (0.80, 0.36, 0.66), looks.cloth, SHOULDERS, turn))
    shapes.append(part((0, -0.22, 0.02), (0.34, 0.34, 0.34), 0.9 * looks.skin, NECK, turn))
    for side in (-1.0, 1.0):
        nearer = side * turn[:, 2, 0] < 0  # this shoulder points towards the camera
        layer = torch.where(nearer | (bodies.body_yaw.abs() < 0.35), FRONT_ARM, BACK_ARM)
        shapes.append(part((side * 0.84, 1.42, -0.1), (0.17, 0.17, 0.17), looks.skin, layer, turn))
        shapes.append(part((side * 0.80, 0.72, -0.03), (0.21, 0.74, 0.24), 0.88 * looks.cloth, layer, turn))
    shade = shadows(camera, feet, 1.9 * size, 0.6 * torch.ones_like(size), bodies.scene)
    return [shade, *shapes]
