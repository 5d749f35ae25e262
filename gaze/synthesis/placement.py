"""Puts people, objects and clutter into a room."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from gaze.synthesis import palette
from gaze.synthesis.camera import Camera
from gaze.synthesis.crowding import Discs, crowding
from gaze.synthesis.draws import Draws
from gaze.synthesis.scenes import BALL, BOX, ON_FLOOR, ON_STAND, ON_THREAD, Room, Things

HALF_HEIGHTS = torch.tensor([1.0, 0.8, 0.85, 0.9], dtype=torch.float64)  # of each shape, in its radius
THREAD_ABOVE = 0.4  # objects in this upper share of the image hang, the others stand


@dataclass(frozen=True)
class Crowd:
    """Heads in the room, before anybody turns them."""

    present: Bool[Tensor, "b n"]
    head: Float64[Tensor, "b n 3"]
    radius: Float64[Tensor, "b n"]  # about 1: it is the unit of length
    discs: Discs


def between(difficulty: float, easy: float, hard: float) -> float:
    """The number at this difficulty, on the line from easy (0) to hard (1)."""
    return easy + difficulty * (hard - easy)


def place_people(
    draws: Draws, camera: Camera, room: Room, size: Float64[Tensor, "b"], limits: tuple[int, int], difficulty: float
) -> Crowd:
    """People on the floor; `size` is a head's radius as a fraction of the short side."""
    low, high = limits
    tries = round(between(difficulty, 24, 5))
    present = torch.arange(high) < draws.integers(low, high, 1)
    spread = between(difficulty, 0.06, 0.3)
    radius_px = size[:, None] * camera.short_side * (1 + draws.uniform(-spread, spread, high))
    radius = draws.uniform(0.94, 1.06, high)
    depth = camera.focal * radius / radius_px
    stature = draws.uniform(2.6, between(difficulty, 4.2, 4.8), high, tries)
    horizon = camera.horizon[:, None, None]
    row = horizon + camera.focal * (room.floor[:, None, None] - stature) / depth[..., None]
    margin = 1.25 * radius_px[..., None]
    column = margin + draws.uniform(0, 1, high, tries) * (camera.width - 2 * margin)
    row = row.clamp_min(margin).minimum(camera.height - margin)
    taken: Discs | None = None
    for i in range(high):
        at = torch.ones_like(column[:, i])
        candidates = Discs(
            column=column[:, i],
            row=row[:, i],
            radius=at * radius_px[:, i, None],
            depth=at * depth[:, i, None],
            body=at > 0,
            line=at * 0,
            present=present[:, i, None] & (at > 0),
        )
        taken = _settle(candidates, taken)
    assert taken is not None
    return Crowd(present, camera.locate(taken.column, taken.row, depth), radius, taken)


def place_objects(
    draws: Draws,
    camera: Camera,
    room: Room,
    crowd: Crowd,
    size: Float64[Tensor, "b"],
    limits: tuple[int, int],
    difficulty: float,
) -> Things:
    """Objects of different colours around the people, none of whom they hide if it can be helped."""
    low, high = limits
    tries = round(between(difficulty, 32, 5))
    present = torch.arange(high) < draws.integers(low, high, 1)
    people_depth = camera.focal / (size * camera.short_side)
    shape = draws.integers(0, 3, high)
    radius = draws.uniform(0.46, 0.62, high)
    near, far = between(difficulty, 0.68, 0.62), between(difficulty, 0.92, 1.3)
    depth = people_depth[:, None] * draws.uniform(near, far, high)
    depth = depth.minimum(room.wall[:, None] - 1.5)
    radius = radius * between(difficulty, 0.85, 1.0)
    radius_px = camera.focal * radius / depth
    margin = 1.4 * radius_px[..., None]
    column = margin + draws.uniform(0, 1, high, tries) * (camera.width - 2 * margin)
    row = margin + draws.uniform(0, 1, high, tries) * (camera.height - 2 * margin)
    lowest = room.floor[:, None] - HALF_HEIGHTS[shape] * radius
    floor_row = camera.horizon[:, None] + camera.focal * lowest / depth
    taken = crowd.discs
    for i in range(high):
        on_floor = row[:, i] >= floor_row[:, i, None] - 0.6 * radius_px[:, i, None]
        height = torch.where(on_floor, floor_row[:, i, None], row[:, i])
        hangs = height < THREAD_ABOVE * camera.height
        outside = (height > camera.height - margin[:, i]).to(height)
        candidates = Discs(
            column=column[:, i],
            row=height,
            radius=torch.ones_like(height) * radius_px[:, i, None],
            depth=torch.ones_like(height) * depth[:, i, None],
            body=torch.zeros_like(on_floor),
            line=torch.where(on_floor, 0.0, torch.where(hangs, -1.0, 1.0)).to(height),
            present=present[:, i, None].expand_as(on_floor),
        )
        taken = _settle(candidates, taken, 4 * outside)
    places = crowd.present.shape[1]
    column, row, line = taken.column[:, places:], taken.row[:, places:], taken.line[:, places:]
    # A row below the frame can be all that the tries offered; the object then floats on a stand within it.
    inside = (camera.height - 1.1 * radius_px).minimum(row)
    support = torch.where(line > 0, ON_STAND, torch.where(line < 0, ON_THREAD, ON_FLOOR))
    support = torch.where((inside < row) & (support == ON_FLOOR), ON_STAND, support)
    order = draws.order(len(palette.OBJECTS))
    slot = torch.arange(high) % len(palette.OBJECTS)
    return Things(
        present=present,
        center=camera.locate(column, inside, depth),
        radius=radius,
        shape=shape,
        support=support,
        yaw=draws.uniform(-0.7, 0.7, high),
        color=palette.OBJECTS[order[:, slot]],
        trim=palette.OBJECTS[order[:, -1 - slot]],
    )


def scatter_clutter(draws: Draws, camera: Camera, room: Room, size: Float64[Tensor, "b"], count: int) -> Things:
    """Small things that lie on the floor, wherever they fall."""
    shape = draws.integers(0, 3, count)
    radius = draws.uniform(0.15, 0.34, count)
    people_depth = camera.focal / (size * camera.short_side)
    depth = (people_depth[:, None] * draws.uniform(0.65, 1.4, count)).minimum(room.wall[:, None] - 0.6)
    column = draws.uniform(0, camera.width, count)
    center = camera.locate(column, torch.zeros_like(column), depth)
    center[..., 1] = room.floor[:, None] - HALF_HEIGHTS[shape] * radius
    return Things(
        present=torch.ones_like(shape, dtype=torch.bool),
        center=center,
        radius=radius,
        shape=shape,
        support=torch.full_like(shape, ON_FLOOR),
        yaw=draws.uniform(-0.7, 0.7, count),
        color=0.75 * draws.pick(palette.OBJECTS, count) + 0.12,
        trim=0.75 * draws.pick(palette.OBJECTS, count) + 0.12,
    )


def hang_pictures(draws: Draws, camera: Camera, room: Room, count: int) -> Things:
    """Pictures on the wall; `shape` and `support` mean nothing for them."""
    depth = room.wall[:, None] * torch.ones(count)
    slot = (torch.arange(count) + draws.uniform(0.15, 0.85, count)) / max(count, 1) * camera.width
    floor_row = camera.horizon + camera.focal * room.floor / room.wall
    row = floor_row[:, None] * draws.uniform(0.3, 0.6, count)
    ones = torch.ones_like(slot, dtype=torch.int64)
    return Things(
        present=draws.uniform(0, 1, count) < 0.8,
        center=camera.locate(slot, row, depth),
        radius=draws.uniform(0.05, 0.09, count) * camera.short_side * depth / camera.focal,
        shape=ones * BOX,
        support=ones * BALL,
        yaw=torch.zeros_like(slot),
        color=draws.pick(palette.PICTURES, count),
        trim=draws.pick(palette.WALLS, count),
    )


def _settle(candidates: Discs, taken: Discs | None, cost: Tensor | float = 0.0) -> Discs:
    """What is taken, with the least crowded candidate; the first one where none has an advantage."""
    rank = 1e-6 * torch.arange(candidates.column.shape[1], dtype=torch.float64)
    if taken is None:
        return candidates.one((rank + cost).expand_as(candidates.column).argmin(1))
    return taken.beside(candidates.one((crowding(candidates, taken) + cost + rank).argmin(1)))
