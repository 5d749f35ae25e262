"""What is in a batch of synthetic scenes: the 3D truth that pictures and labels are both made of.

Axes: b scenes, n places for people, m places for things. Scenes of a batch hold different numbers of
people and things; `present` marks the places that are taken. Camera frame, lengths in head radii,
colours RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from gaze.synthesis.camera import Camera

OBJECT, PERSON, OUTSIDE = 0, 1, 2  # what somebody looks at
BALL, BOX, CYLINDER, CONE = 0, 1, 2, 3
ON_FLOOR, ON_STAND, ON_THREAD = 0, 1, 2  # what keeps a thing where it is

# The head in its own frame, in head radii.
HEAD_AXES = (0.92, 1.06, 0.98)  # half axes of the skull
EYE_CENTERS = ((-0.33, -0.06, -0.70), (0.33, -0.06, -0.70))  # of the eyeballs; between them is where gaze starts
HEAD_REACH = 1.2  # a ball of this radius holds skull, hair, nose and ears


@dataclass(frozen=True)
class Looks:
    """How each person looks; rows of people, with or without a scene axis."""

    skin: Float64[Tensor, "*n 3"]
    hair: Float64[Tensor, "*n 3"]
    cloth: Float64[Tensor, "*n 3"]
    trousers: Float64[Tensor, "*n 3"]
    iris: Float64[Tensor, "*n 3"]
    hair_style: Int64[Tensor, "*n"]  # 0 short, 1 long, 2 bun, 3 bald
    eye_radius: Float64[Tensor, "*n"]  # of an eyeball, in head radii of that person


@dataclass(frozen=True)
class People:
    """Where people are, how they hold themselves and what they look at."""

    present: Bool[Tensor, "b n"]
    head: Float64[Tensor, "b n 3"]  # centres
    radius: Float64[Tensor, "b n"]
    rotation: Float64[Tensor, "b n 3 3"]  # head frame to camera frame
    body_yaw: Float64[Tensor, "b n"]  # rad
    origin: Float64[Tensor, "b n 3"]  # the point between the eyes, where the gaze starts
    target: Float64[Tensor, "b n 3"]  # the point looked at
    target_kind: Int64[Tensor, "b n"]  # OBJECT, PERSON or OUTSIDE
    target_index: Int64[Tensor, "b n"]  # which object or person; -1 outside
    looks: Looks


@dataclass(frozen=True)
class Things:
    """Objects to look at, or clutter."""

    present: Bool[Tensor, "b m"]
    center: Float64[Tensor, "b m 3"]
    radius: Float64[Tensor, "b m"]
    shape: Int64[Tensor, "b m"]  # BALL, BOX, CYLINDER or CONE
    support: Int64[Tensor, "b m"]  # ON_FLOOR, ON_STAND or ON_THREAD
    yaw: Float64[Tensor, "b m"]  # rad
    color: Float64[Tensor, "b m 3"]
    trim: Float64[Tensor, "b m 3"]  # second colour


@dataclass(frozen=True)
class Room:
    """Floor, back wall and light."""

    floor: Float64[Tensor, "b"]  # y of the floor
    wall: Float64[Tensor, "b"]  # z of the back wall
    floor_color: Float64[Tensor, "b 3"]
    wall_color: Float64[Tensor, "b 3"]
    floor_pattern: Int64[Tensor, "b"]  # 0 tiles, 1 boards
    wall_pattern: Int64[Tensor, "b"]  # 0 stripes, 1 panels
    pattern_size: Float64[Tensor, "b 2"]  # of the floor's and the wall's pattern
    pattern_shift: Float64[Tensor, "b"]  # of both, sideways
    texture: Float64[Tensor, "b"]  # 0 plain to 1
    light: Float64[Tensor, "b 3"]  # unit vector towards the light
    ambient: Float64[Tensor, "b"]  # brightness of what faces away from the light, 0 to 1
    falloff: Float64[Tensor, "b"]  # how much darker the far side of the picture is, 0 to 1


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes: everything that decides its pictures, but for the grain of the camera."""

    camera: Camera
    room: Room
    people: People
    objects: Things
    clutter: Things  # nobody looks at it on purpose
    pictures: Things  # hanging on the wall
