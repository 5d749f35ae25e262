"""Who is who from frame to frame: head boxes of a video linked to persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from gaze.errors import UserError


@dataclass(frozen=True, eq=False)
class Track:
    """A person, followed without a break that was too long."""

    person: int
    since: int  # frame of the first sighting
    box: Float[Tensor, "4"]  # at the last one
    missed: int | None = None  # frame of the first look since then that did not find the person


class Tracker:
    """Links the head boxes of one look at a video to those of the looks before.

    Boxes are matched so that the sum of their overlaps is largest (an assignment, not the best pair
    first). Those who were found at the last look choose first, so that someone who walks past the place
    where another disappeared keeps their number. Only people seen within `gap` are remembered: neither
    time nor memory grow with the length of the video. The same boxes always give the same numbers.

    It compares boxes, not faces: who returns elsewhere than they left, or moves on by more than about
    half a head from one look to the next, is somebody new.

    Args:
        overlap: least intersection over union, between 0 and 1, at which two boxes may be one person.
        gap: frames of the video for which a person may be missing and still be the same.

    Raises:
        UserError: one of them makes no sense.
    """

    def __init__(self, overlap: float = 0.2, gap: int = 30) -> None:
        if not 0 < overlap < 1:
            raise UserError(f"track.overlap={overlap}; expected an intersection over union above 0 and below 1")
        if gap < 0:
            raise UserError(
                f"track.gap={gap}; expected a number of frames, 0 or more, for which a person may be missing"
            )
        self.overlap, self.gap = overlap, gap
        self.tracks: list[Track] = []  # found at the last look, then those who are missed
        self.persons = 0  # so far

    def __call__(self, frame: int, boxes: Float[Tensor, "n 4"], persons: Sequence[int] | None = None) -> list[Track]:
        """The track of each box.

        Args:
            frame: number of the frame; each call has a larger one.
            boxes: (x0, y0, x1, y1); NaN for whoever is in the picture, which is one person.
            persons: who they are, if that is known; else it is found out. The first person found is 1.
        """
        known = [t for t in self.tracks if t.missed is None or frame - t.missed <= self.gap]
        if persons is None:
            owners = self._owners(known, boxes)
        else:
            by_person = {track.person: track for track in known}
            owners = [by_person.get(person) for person in persons]
        found: list[Track] = []
        for i, (box, owner) in enumerate(zip(boxes, owners, strict=True)):
            if owner is not None:
                found.append(replace(owner, box=box, missed=None))
            else:
                found.append(Track(self._newcomer() if persons is None else persons[i], frame, box))
        here = {track.person for track in found}
        away = [t if t.missed is not None else replace(t, missed=frame) for t in known if t.person not in here]
        self.tracks = found + away
        return found

    def _newcomer(self) -> int:
        self.persons += 1
        return self.persons

    def _owners(self, known: Sequence[Track], boxes: Float[Tensor, "n 4"]) -> list[Track | None]:
        owners: list[Track | None] = [None] * len(boxes)
        for group in ([t for t in known if t.missed is None], [t for t in known if t.missed is not None]):
            free = [i for i, owner in enumerate(owners) if owner is None]
            if not group or not free:
                continue
            shared = overlaps(torch.stack([track.box for track in group]), boxes[free])
            shared = torch.where(shared >= self.overlap, shared, 0.0)  # a pair that may not be gains nothing
            for row, column in zip(*linear_sum_assignment(shared.numpy(), maximize=True), strict=True):
                if shared[row, column] > 0:
                    owners[free[column]] = group[row]
        return owners


def overlaps(first: Float[Tensor, "n 4"], second: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union, 0 to 1, of each pair of boxes (x0, y0, x1, y1); 1 if both are NaN."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area, other = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second))
    share = (both / (area[:, None] + other[None] - both)).nan_to_num(0.0)
    anyone = first.isnan().any(-1)[:, None] & second.isnan().any(-1)[None]
    return torch.where(anyone, 1.0, share)
