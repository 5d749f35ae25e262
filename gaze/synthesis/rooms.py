"""Floor and wall: sampling a room, and painting it as the background of a picture."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from gaze.synthesis import palette
from gaze.synthesis.camera import Camera
from gaze.synthesis.draws import Draws
from gaze.synthesis.placement import between
from gaze.synthesis.poses import unit
from gaze.synthesis.scenes import Room

FOCAL = 1.25  # in short sides of the image: 44° of view
SKIRTING = 0.35  # height of the skirting board, head radii


def furnish(
    draws: Draws, height: int, width: int, size: Float64[Tensor, "b"], difficulty: float
) -> tuple[Camera, Room]:
    """A camera and a room for heads of this radius, a fraction of the short side.

    The camera's height follows from where the feet of somebody of that size shall be in the picture.
    """
    short = min(height, width)
    focal = FOCAL * short
    horizon = draws.uniform(0.14, 0.22) * height
    people_depth = FOCAL / size
    feet = draws.uniform(0.80, 0.92) * height
    floor = (feet - horizon) * people_depth / focal
    strength = between(difficulty, 0.35, 1.0)
    side = draws.uniform(-1, 1)
    light = unit(torch.stack([strength * side, -draws.uniform(0.6, 1.0), -draws.uniform(0.5, 0.9)], 1))
    room = Room(
        floor=floor,
        wall=people_depth * draws.uniform(1.35, between(difficulty, 1.5, 1.9)),
        floor_color=draws.pick(palette.FLOORS),
        wall_color=draws.pick(palette.WALLS),
        floor_pattern=draws.integers(0, 1),
        wall_pattern=draws.integers(0, 1),
        pattern_size=torch.stack([draws.uniform(0.7, 1.3), draws.uniform(0.6, 1.4)], 1),
        pattern_shift=draws.uniform(-5, 5),
        texture=difficulty * draws.uniform(0.5, 1.0),
        light=light,
        ambient=draws.uniform(between(difficulty, 0.58, 0.38), 0.66),
        falloff=draws.uniform(0.0, between(difficulty, 0.1, 0.45)),
    )
    return Camera(height, width, focal, horizon), room


def paint_room(camera: Camera, room: Room, scene: int) -> Float32[Tensor, "3 H W"]:
    """One of the rooms, empty, 0 to 255."""
    picture = torch.empty(3, camera.height, camera.width)
    x = torch.arange(camera.width, dtype=torch.float64) + 0.5 - camera.center
    y = torch.arange(camera.height, dtype=torch.float64) + 0.5 - camera.horizon[scene]
    edge = float(camera.focal * room.floor[scene] / room.wall[scene])  # where wall meets floor, px below the horizon
    first = int((y < edge - 0.5).sum())  # row of the first pixel that is floor
    tone = _tones(camera, room, scene, y, edge)
    wall = 1.0 - float(room.texture[scene]) * _wall_pattern(camera, room, scene, x)
    floor = 1.0 - float(room.texture[scene]) * _floor_pattern(camera, room, scene, x, y[first:])
    dark = 1.0 - float(room.falloff[scene]) * _away_from_light(camera, room, scene)
    torch.mul(tone[:, :first], (wall * dark)[None], out=picture[:, :first])
    torch.mul(tone[:, first:], (floor * dark)[None], out=picture[:, first:])
    return picture


def _tones(camera: Camera, room: Room, scene: int, y: Float64[Tensor, "H"], edge: float) -> Float32[Tensor, "3 H 1"]:
    """Wall, skirting board and floor without patterns, row by row; the wall is darker towards the floor."""
    per_px = float(room.wall[scene]) / camera.focal
    wall = room.wall_color[scene][:, None] * (1.0 - 0.10 * (y / edge).clamp(-1, 1))
    board = ((y - edge) * per_px + SKIRTING > 0).to(y)
    wall = wall + board * (0.93 * room.wall_color[scene][:, None] * 1.04 - 0.08 - wall)
    distance = (edge / y.clamp_min(1.0)).clamp(0, 1)  # 1 at the wall, towards 0 at the camera
    floor = room.floor_color[scene][:, None] * (1.08 - 0.16 * distance)
    share = (y - edge + 0.5).clamp(0, 1)
    return (255.0 * (wall + share * (floor - wall)).clamp(0, 1)).float()[:, :, None]


def _away_from_light(camera: Camera, room: Room, scene: int) -> Float32[Tensor, "1 W"]:
    """0 at the side the light comes from, 1 at the other."""
    x = (torch.arange(camera.width) + 0.5) / camera.width
    return (1.0 - x if room.light[scene, 0] > 0 else x)[None].float()


def _wall_pattern(camera: Camera, room: Room, scene: int, x: Tensor) -> Float32[Tensor, "1 W"]:
    """How much darker each column of the wall is: broad stripes, or the gaps between panels."""
    per_px = float(room.wall[scene]) / camera.focal
    period = float(room.pattern_size[scene, 1])
    wave = _wave((x * per_px + float(room.pattern_shift[scene])) / period)
    stripes = ((wave - 0.25) * period / per_px + 0.5).clamp(0, 1) * 0.14
    gaps = ((0.03 - wave) * period / per_px + 0.5).clamp(0, 1) * 0.3
    return (stripes if room.wall_pattern[scene] == 0 else gaps)[None].float()


def _floor_pattern(
    camera: Camera, room: Room, scene: int, x: Float64[Tensor, "W"], y: Float64[Tensor, "h"]
) -> Float32[Tensor, "#h #W"]:
    """How much darker each pixel of the floor is: a chequerboard, or boards that run away from the camera."""
    if float(room.texture[scene]) == 0:
        return torch.zeros(1, 1)
    period = 2.0 * float(room.pattern_size[scene, 0])
    depth = camera.focal * float(room.floor[scene]) / y.clamp_min(1.0)
    per_px = (depth / camera.focal / period)[:, None].float()  # periods per pixel, across
    across = _wave(per_px * x[None].float() + float(room.pattern_shift[scene]) / period) - 0.25
    side = (across / per_px).clamp_(-0.5, 0.5)
    if room.floor_pattern[scene] == 1:
        return 0.10 * (side + 0.5)
    per_row = (depth * depth / (camera.focal * float(room.floor[scene])) / period)[:, None].float()
    along = _wave((depth / period)[:, None].float()) - 0.25
    front = (along / per_row).clamp(-0.5, 0.5)
    return 0.22 * (0.5 + 2.0 * side * front)


def _wave(phase: Tensor) -> Tensor:
    """A triangle of period 1: 0 at whole numbers, 0.5 between them."""
    return (phase - (phase + 0.5).floor()).abs()
