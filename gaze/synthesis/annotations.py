"""The lines of GazeFollow's annotation files, from labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gaze.synthesis.draws import Draws
from gaze.synthesis.labels import Label
from gaze.synthesis.scene_world import SceneWorld

UNKNOWN = "-1"  # gaze_x and gaze_y of a gaze that leaves the frame, as in the real files


def annotation_lines(
    world: SceneWorld,
    split: str,
    seed: int,
    labels: Sequence[Label],
    path: Callable[[str, int], str],
    annotators: int,
) -> list[str]:
    """One line per person, or in the test split one per annotator and in-frame person.

    Columns: path, idx, body_bbox x y w h, eye x y and gaze x y as fractions, bbox x_min y_min x_max y_max in px,
    inout (train and val only), source, meta; idx is the person's number and meta says what is looked at.
    """
    lines = []
    for label in labels:
        if split != "test":
            gaze = [f"{v:.6f}" for v in label.gaze] if label.inside else [UNKNOWN, UNKNOWN]
            lines.append(_line(split, label, path, gaze, [str(int(label.inside))]))
        elif label.inside:
            for point in _answers(world, seed, label, annotators):
                lines.append(_line(split, label, path, [f"{v:.6f}" for v in point], []))
    return lines


def _line(split: str, label: Label, path: Callable[[str, int], str], gaze: list[str], inout: list[str]) -> str:
    x0, y0, x1, y1 = label.body_bbox
    fields: list[Any] = [path(split, label.scene), label.person]
    fields += [f"{v:.6f}" for v in (x0, y0, x1 - x0, y1 - y0, *label.eye)]
    fields += gaze
    fields += [f"{v:.2f}" for v in label.head_bbox_px]
    fields += [*inout, "synthetic", label.looks_at]
    return ",".join(map(str, fields)) + "\n"


def _answers(world: SceneWorld, seed: int, label: Label, count: int) -> list[tuple[float, float]]:
    """The exact point, and `count` - 1 more that are spread evenly over the disc around it."""
    draws = Draws(seed, f"{world.name}/annotators/{label.person}", [label.scene])
    turn, share = draws.uniform(0, 1, count, 2)[0].unbind(1)
    short = min(world.height, world.width)
    points = [label.gaze]
    for angle, area in zip(turn.tolist()[1:], share.tolist()[1:], strict=True):
        reach = label.reach * short * math.sqrt(area)
        x = label.gaze[0] + reach * math.cos(2 * math.pi * angle) / world.width
        y = label.gaze[1] + reach * math.sin(2 * math.pi * angle) / world.height
        points.append((min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)))
    return points
