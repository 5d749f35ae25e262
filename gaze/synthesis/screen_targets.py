"""What people are asked to look at: anywhere on the screen, a grid of dots, or a dot that moves."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.synthesis.draws import Draws

EDGE = 0.03  # parts of the screen that no dot comes nearer to its edge
FRAME_S = 1 / 30  # between two frames of a pursuit
LAYOUTS = ("uniform", "3x3", "13", "5x11", "pursuit")


def dots_of(layout: str) -> Float[Tensor, "k 2"] | None:
    """The dots of a layout as parts of the screen's width and height; None where it has no fixed ones.

    `13` is a 3 x 3 grid and the four points between its corners and its middle. `5x11` has 11 rows.
    """
    if layout in ("3x3", "13"):
        dots = _grid(3, 3)
        quarters = 0.5 + (_grid(2, 2) - 0.5) / 2
        return torch.cat([dots, quarters]) if layout == "13" else dots
    return _grid(5, 11) if layout == "5x11" else None


def session_length(layout: str, frames: int, frames_per_dot: int) -> int:
    """How many frames a session has: one pass over the dots, or `frames` where there are no fixed ones."""
    dots = dots_of(layout)
    return frames if dots is None else len(dots) * frames_per_dot


def dot_numbers(layout: str, frame: Int[Tensor, "b"], frames_per_dot: int) -> Int[Tensor, "b"]:
    """Which dot of its session each sample belongs to; -1 where the dot moves."""
    if layout == "pursuit":
        return torch.full_like(frame, -1)
    return frame if dots_of(layout) is None else frame // frames_per_dot


def draw_targets(
    layout: str, session: Draws, sample: Draws, frame: Int[Tensor, "b"], frames_per_dot: int
) -> Float[Tensor, "b 2"]:
    """Where on the screen each sample looks, parts of its width and height.

    Args:
        session: the same numbers for all samples of a session.
        frame: the number of the sample in its session.
    """
    dots = dots_of(layout)
    if dots is not None:
        place = (frame // frames_per_dot)[:, None]
        return dots.double()[session.order(len(dots)).gather(1, place)[:, 0]]
    if layout == "pursuit":
        return _pursuit(session, frame)
    return sample.uniform(EDGE, 1 - EDGE, 2)


def _grid(columns: int, rows: int) -> Float[Tensor, "k 2"]:
    x, y = (torch.linspace(EDGE + 0.02, 1 - EDGE - 0.02, n) for n in (columns, rows))
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], 1)


def _pursuit(session: Draws, frame: Int[Tensor, "b"]) -> Float[Tensor, "b 2"]:
    """A dot on a Lissajous curve: smooth, and at no place for long."""
    pace = session.uniform(0.08, 0.2, 2)  # rounds per second
    phase = session.uniform(0, 1, 2)
    swing = (2 * math.pi * (pace * frame[:, None] * FRAME_S + phase)).sin()
    return 0.5 + (0.5 - EDGE) * swing
