"""Windows of frames: which one is read, what stands in for missing ones, and a buffer that a video is pushed through."""

from __future__ import annotations

from collections import deque

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Window(nn.Module):
    """What all temporal models share: they add to one frame what the others say of it.

    What they add begins as zero, and is zero where no other frame is there: one frame alone, and every window at
    first, give what a model without time gives. What a missing frame holds never counts.

    Args:
        channels: of a frame's vector.
        window: most frames.
        causal: read the last frame; otherwise the centre.
    """

    def __init__(self, channels: int, window: int, causal: bool = False) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"temporal.window is {window}; expected 1 or more")
        self.channels, self.window, self.causal = channels, window, causal

    def forward(
        self, frames: Float[Tensor, "b t D"], present: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b D"]:
        """The vector of the frame that is read; of the nearest one there is if that is missing."""
        length = frames.shape[1]
        if not 1 <= length <= self.window:
            raise ValueError(
                f"{length} frames; expected 1 to {self.window}: set temporal.window, or the frames of the data set"
            )
        present = torch.ones_like(frames[..., 0], dtype=torch.bool) if present is None else present
        read = self.read(length)
        frames = filled(frames, present, self.causal)
        found = self.residual(frames, present, read)
        company = present.sum(1, keepdim=True) > 1
        return torch.where(company, frames[:, read] + found, frames[:, read])

    def read(self, length: int) -> int:
        """Which frame of so many."""
        return length - 1 if self.causal else length // 2

    def residual(self, frames: Float[Tensor, "b t D"], present: Bool[Tensor, "b t"], read: int) -> Float[Tensor, "b D"]:
        """What all frames say of the one that is read."""
        raise NotImplementedError


def filled(
    frames: Float[Tensor, "b t D"], present: Bool[Tensor, "b t"], causal: bool = False
) -> Float[Tensor, "b t D"]:
    """Each frame, or the nearest that is there (the earlier of two, or if `causal` the last before), or itself."""
    index = nearest(present, causal)
    return frames.gather(1, index[..., None].expand(-1, -1, frames.shape[-1]))


def nearest(present: Bool[Tensor, "b t"], causal: bool) -> Int[Tensor, "b t"]:
    """The frame that stands in for each."""
    length = present.shape[1]
    place = torch.arange(length, device=present.device)
    distance = (place[:, None] - place).abs()
    if causal:  # a later one only where there is none before: nobody attends to what it makes of that frame
        distance = distance + length * (place > place[:, None])
    return (distance + 3 * length * ~present[:, None, :]).argmin(2)


class Stream:
    """A video, frame by frame: keeps the last vectors, so that a new frame costs its own features and one window.

    What is said is of the frame that the model reads: the newest of a causal model, or one half a window ago.

    Args:
        temporal: the model, in eval mode.
    """

    def __init__(self, temporal: Window) -> None:
        self.temporal = temporal
        self.frames: deque[Tensor | None] = deque(maxlen=temporal.window)

    @torch.no_grad()
    def push(self, frame: Float[Tensor, "b D"] | None) -> Float[Tensor, "b D"] | None:
        """What is known now, with this frame or without (None: it is missing); None before the first frame."""
        self.frames.append(frame)
        there = [f for f in self.frames if f is not None]
        if not there:
            return None
        before: list[Tensor | None] = [None] * (self.temporal.window - len(self.frames))
        kept = [*before, *self.frames]
        frames = torch.stack([torch.zeros_like(there[0]) if f is None else f for f in kept], 1)
        present = torch.tensor([f is not None for f in kept], device=frames.device)
        return self.temporal(frames, present.expand(frames.shape[:2]))
