"""One sample made of two, with labels that are still true: CutMix for a point of gaze.

A pasted rectangle does not move where a user looks by its share of the area, so that the usual mix of labels
would be wrong. Three ways are right, each in its own sense.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.datasets.scene import probable
from gaze.datasets.screen_crops import Paste
from gaze.datasets.screen_labels import ScreenLabels
from gaze.datasets.screen_occlusions import pixels_of
from gaze.datasets.screen_view import EYES, Box, Picture, ScreenView, box_centre, cut
from gaze.types import ScreenTargets

_MODES = ("safe", "cmixup", "cut")
_CANDIDATES = 4096  # among more of the same kind, this many are drawn evenly before one is drawn by its label
_AROUND_EYES = 1.3  # eye boxes are larger by this before anything is pasted beside them


class CutMix:
    """A second sample of the data set mixed into the first; its `partner` comes from the generator alone, out of those
    that cost little to read beside it.

    The partner has been through the augmentations before this one in the list. Put it before any that mirrors
    or turns the picture: those come to the mix as a whole.

    Args:
        mode: "safe" pastes a rectangle of another face beside the eyes of this one, and the label stays. "cmixup"
            blends all streams and their geometry with a sample of a similar label, of the same kind of device in the
            same orientation, and blends the labels (C-Mixup, Yao et al. 2022). "cut" pastes the same rectangle into
            every stream and leaves both labels, for a loss that mixes errors (`other_point`, `other_share`).
        probability: share of the samples that are mixed.
        smallest, largest: area of the rectangle, as a share of the crop; safe and cut.
        sigma_cm: how far labels of partners are apart; cmixup.
        beta: both parameters of the Beta distribution that the share of the blend is from; cmixup.
    """

    def __init__(
        self,
        mode: str = "safe",
        probability: float = 0.3,
        smallest: float = 0.02,
        largest: float = 0.25,
        sigma_cm: float = 2.0,
        beta: float = 2.0,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"CutMix.mode is {mode!r}; expected one of {', '.join(_MODES)}")
        if not 0.0 < smallest <= largest < 1.0:
            raise ValueError(f"CutMix.smallest and largest are {smallest} and {largest}; expected shares of the crop")
        if not (sigma_cm > 0 and beta > 0):
            raise ValueError(f"CutMix.sigma_cm and beta are {sigma_cm} and {beta}; expected numbers above 0")
        self.acts_on = "crops" if mode == "safe" else "anything"
        self.mode, self.probability = mode, probable("CutMix.probability", probability)
        self.smallest, self.largest = float(smallest), float(largest)
        self.sigma_cm, self.beta = float(sigma_cm), float(beta)

    def mixed(
        self,
        view: ScreenView,
        index: int,
        labels: ScreenLabels,
        near: Callable[[], Int[Tensor, "k"]],
        other: Callable[[int, Sequence[str]], ScreenView],
        generator: torch.Generator,
    ) -> ScreenView:
        """The view of sample `index`, mixed or not.

        Args:
            labels: of all samples.
            near: the samples that partners are drawn from; see `partner`.
            other: the view of another sample with the pictures of some streams, after the same augmentations.
        """
        if self.mode == "cut":
            share = torch.zeros(())
            view = replace(view, targets=replace(view.targets, other_point=view.targets.point, other_share=share))
        if torch.rand((), generator=generator).item() >= self.probability:
            return view
        if self.mode == "safe" and not ("face" in view.pictures and {"face", *EYES} <= view.placed):
            return view  # who does not know where the eyes are cannot spare them
        partner = self.partner(index, labels, near(), generator)
        if partner is None:
            return view
        theirs = cut(other(partner, ("face",) if self.mode == "safe" else tuple(view.pictures)))
        mix = {"safe": self._safe, "cmixup": self._blend, "cut": self._cut}[self.mode]
        return mix(cut(view), theirs, generator)

    def partner(
        self, index: int, labels: ScreenLabels, near: Int[Tensor, "k"], generator: torch.Generator
    ) -> int | None:
        """Which sample is mixed in: any other one, or for cmixup one by the distance of its label; None for none.

        Args:
            labels: of all samples.
            near: numbers of those that it may be, in order.
        """
        if self.mode != "cmixup":
            rank = int(torch.randint(max(len(near) - 1, 1), (), generator=generator))
            return None if len(near) < 2 else int(near[rank + int(near[rank] >= index)])
        chosen = torch.randint(len(near), (_CANDIDATES,), generator=generator) if len(near) > _CANDIDATES else None
        rows = near if chosen is None else near[chosen]
        chance = self.chances(index, labels, rows)
        if not chance.sum() > 0:
            return None
        return int(rows[torch.multinomial(chance, 1, generator=generator)])

    def chances(self, index: int, labels: ScreenLabels, rows: Int[Tensor, "r"]) -> Float[Tensor, "r"]:
        """How likely each of some samples is to be the partner under cmixup; not normalised."""
        square = (labels.point[rows] - labels.point[index]).square().sum(-1)
        alike = (labels.kind[rows] == labels.kind[index]) & (labels.orientation[rows] == labels.orientation[index])
        return torch.exp(-square / (2 * self.sigma_cm**2)) * (alike & (rows != index))

    def _safe(self, view: ScreenView, other: ScreenView, generator: torch.Generator) -> ScreenView:
        box = self._rectangle(generator)
        ours, theirs, size = view.pictures["face"], other.pictures["face"], view.sizes["face"]
        parts = [pixels_of(_of(ours.covers, box), ours.covers, size)]
        for eye in EYES:
            (x, y), (_, _, w, h) = box_centre(view.boxes[eye]), view.boxes[eye]
            w, h = _AROUND_EYES * w, _AROUND_EYES * h
            parts.append(pixels_of((x - w / 2, y - h / 2, w, h), ours.covers, size))
        if theirs.at is not None:
            edges = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in parts]
            face = replace(ours, paste=Paste(theirs.image, theirs.at, edges))
        else:
            paste = torch.zeros(size, dtype=torch.bool)
            for part, there in zip(parts, (True, False, False), strict=True):
                paste[part] = there
            face = Picture(torch.where(paste, theirs.image, ours.image), ours.covers)
        return replace(view, pictures={**view.pictures, "face": face})

    def _cut(self, view: ScreenView, other: ScreenView, generator: torch.Generator) -> ScreenView:
        box = self._rectangle(generator)
        pictures, shares = {}, []
        for stream, ours in view.pictures.items():
            size = (ours.image.shape[-2], ours.image.shape[-1])
            rows, columns = pixels_of(_of(ours.covers, box), ours.covers, size)
            image = ours.image.clone()
            image[:, rows, columns] = other.pictures[stream].image[:, rows, columns]
            pictures[stream] = Picture(image, ours.covers)
            shares.append((rows.stop - rows.start) * (columns.stop - columns.start) / (size[0] * size[1]))
        share = torch.tensor(sum(shares) / len(shares))  # of whole pixels, so hardly unlike the rectangle's
        targets = replace(view.targets, other_point=other.targets.point, other_share=share)
        return replace(view, pictures=pictures, targets=targets)

    def _blend(self, view: ScreenView, other: ScreenView, generator: torch.Generator) -> ScreenView:
        keep = _beta(self.beta, generator)
        pictures, boxes = {}, dict(view.boxes)
        for stream, ours in view.pictures.items():
            image = torch.lerp(other.pictures[stream].image.float(), ours.image.float(), keep)
            pictures[stream] = Picture(image.round().to(torch.uint8), ours.covers)
        for stream in view.placed & other.placed:
            scale = [own / theirs for own, theirs in zip(view.frame_size, other.frame_size, strict=True)] * 2
            theirs = [side * factor for side, factor in zip(other.boxes[stream], scale, strict=True)]
            x, y, w, h = (keep * a + (1 - keep) * b for a, b in zip(view.boxes[stream], theirs, strict=True))
            boxes[stream] = (x, y, w, h)
            if stream in pictures:
                pictures[stream] = Picture(pictures[stream].image, boxes[stream])
        return replace(
            view,
            pictures=pictures,
            boxes=boxes,
            landmarks=_mean(view.landmarks, other.landmarks, keep),
            imu=_mean(view.imu, other.imu, keep),
            imu_valid=min(view.imu_valid, other.imu_valid),
            targets=_blended(view.targets, other.targets, keep),
            own=False,
        )

    def _rectangle(self, generator: torch.Generator) -> Box:
        """A place for a rectangle, in fractions of a crop, of the crop's own aspect."""
        area, x, y = torch.rand(3, generator=generator).tolist()
        side = math.sqrt(self.smallest + area * (self.largest - self.smallest))
        return x * (1 - side), y * (1 - side), side, side


def _of(shown: Box, part: Box) -> Box:
    return shown[0] + part[0] * shown[2], shown[1] + part[1] * shown[3], part[2] * shown[2], part[3] * shown[3]


def _blended(ours: ScreenTargets, theirs: ScreenTargets, keep: float) -> ScreenTargets:
    """Places and directions between the two; what is said of device and recording stays ours."""
    names = ("point", "origin", "distance_cm", "gaze")
    changed = {name: _mean(getattr(ours, name), getattr(theirs, name), keep) for name in names}
    if changed["gaze"] is not None:
        changed["gaze"] = torch.nn.functional.normalize(changed["gaze"], dim=-1)
    return replace(ours, **changed)  # type: ignore[arg-type]


def _mean(ours: Tensor | None, theirs: Tensor | None, keep: float) -> Tensor | None:
    return None if ours is None or theirs is None else torch.lerp(theirs, ours, keep)


def _beta(parameter: float, generator: torch.Generator) -> float:
    """A draw from Beta(a, a), by Johnk's method; a share of two gamma draws would need torch's global generator."""
    for _ in range(1000):
        x, y = torch.rand(2, dtype=torch.float64, generator=generator).pow(1 / parameter).tolist()
        if 0 < x + y <= 1:
            return x / (x + y)
    return 0.5  # for parameters so large that this is all their distribution says
