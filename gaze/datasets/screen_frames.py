"""Frames of people in front of screens, whatever they are stored in: views of them, augmented, and then samples."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.later import at_once, first_left
from gaze.datasets.screen_labels import ScreenLabels
from gaze.datasets.screen_later import ScreenChange, ScreenLater, all_left, done, later, left
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_table import ScreenFacts
from gaze.datasets.screen_view import STREAMS, Augmentation, Picture, ScreenView, cut, geometry
from gaze.datasets.substitutes import Substitutes
from gaze.label_units import UNITS
from gaze.landmarks.mirror import mirror_order
from gaze.landmarks.points import COUNT, DEFAULT
from gaze.recordings.margins import inner, outer
from gaze.shard_order import ShardOrder
from gaze.types import Batch, Record, ScreenInputs, ScreenTargets

log = logging.getLogger(__name__)

INPUTS = (*STREAMS, "geometry", "landmarks", "imu", "orientation", "person")
Sources = Mapping[str, tuple[int, int]] | None
_POLICIES = ("raise", "skip")


@dataclass(frozen=True)
class Raw:
    """What is stored of a frame and too large to be kept in memory."""

    pictures: Mapping[str, UInt8[Tensor, "3 H W"]]  # by stream; or the whole frame, under "frame"
    landmarks: Float[np.ndarray, "478 3"] | None = None
    imu: Float[np.ndarray, "9"] | None = None


class ScreenFrames(Dataset):
    """One sample is one frame of one user.

    A data set is this and a function that reads what is stored of a frame. Samples depend on nothing but (seed,
    epoch, place in its order): a second frame that is mixed in comes from the same generator.

    Args:
        title: what this is, for messages.
        labels, facts: of all frames.
        read: gives what is stored of a frame, with the pictures of some streams; raises ImageError.
        faults: what was left out of `labels`, and why.
        streams: what the inputs hold: face, left_eye, right_eye, geometry, landmarks, imu, orientation, person.
        face_size, eye_size: sides of the samples' crops in px, or (height, width).
        landmarks: indices of MediaPipe's 478 that the stream of landmarks has; None: the usual 71.
        augmentations: applied in order; training only. What moves boxes or rolls comes first, so that pixels are
            cut once; `CutMix` before what mirrors or turns.
        people: names that the stream `person` numbers, those of training.
        balance: exponent a of sampling by n ** -a for a person of n frames, with replacement: 1 has all people come
            equally often, 0 all frames. The frames' own weights multiply it.
        margin: by how much stored crops reach beyond their boxes on each side, as a fraction of the box.
        on_corrupt: "raise" reports the faults as an error. "skip" keeps them in `faults`, and replaces a frame that
            turns out to be unreadable in training by the next readable one, which `faults` then lists, too.
        skip_limit: the most faults, as a share of the frames, that "skip" accepts.
        sources: (height, width) by stream of stored crops, if the parts of them that training needs may be sampled by
            `finished`, for a batch at once; with augmentations that allow it. A few crops of other sizes are resized, which
            blurs them. None: they are cut here.

    Attributes:
        labels: `ScreenLabels`, the labels in flat arrays.

    Raises:
        DatasetError: what was found is not what training should begin with.
    """

    def __init__(
        self,
        *,
        title: str,
        labels: ScreenLabels,
        facts: ScreenFacts,
        read: Callable[[int, Sequence[str]], Raw],
        faults: Sequence[Fault],
        streams: Sequence[str],
        face_size: int | Sequence[int],
        eye_size: int | Sequence[int],
        landmarks: Sequence[int] | None,
        augmentations: Sequence[Augmentation | CutMix],
        people: Sequence[str],
        balance: float,
        margin: float,
        on_corrupt: str,
        skip_limit: float,
        sources: Sources = None,
    ) -> None:
        if on_corrupt not in _POLICIES:
            raise ValueError(f"dataset.on_corrupt is {on_corrupt!r}; expected one of {', '.join(_POLICIES)}")
        check_streams(streams)
        self.title, self.labels, self.facts, self._read = title, labels, facts, read
        self.streams, self.sizes, self.margin = tuple(streams), crop_sizes(face_size, eye_size), margin
        self.augmentations, self._sources = list(augmentations), sources
        self._points = _points(landmarks) if "landmarks" in streams else None
        self._mirror = None if self._points is None else torch.tensor(mirror_order(self._points))
        number = {name: i for i, name in enumerate(people)}
        self._person = torch.tensor([number.get(name, -1) for name in labels.subjects])
        answers = len(labels) + len(faults)
        self._substitutes = Substitutes(title, on_corrupt, faults, answers, skip_limit, "frames")
        if not len(labels):
            raise DatasetError(f"{title} holds no frame that can be used; expected at least one")
        self._substitutes.begin(len(labels))
        self._chance = self._chances(balance)

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the frames that were replaced since, in any loader worker."""
        do = "restore it, or prepare the table again"
        return self._substitutes.faults(self.name, "frame", "readable pictures", do)

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """The frame's sample_id."""
        return self.labels.sample_id[index]

    def group(self, index: int) -> str:
        """Whose frame it is."""
        return self.labels.subjects[int(self.labels.subject[index])]

    def order(self, generator: torch.Generator) -> Int[Tensor, "n"] | ShardOrder:
        """The frames of an epoch: each once, or drawn with replacement where people or frames have weights."""
        return super().order(generator) if self._chance is None else self._drawn(generator)

    def _drawn(self, generator: torch.Generator) -> Int[Tensor, "n"]:
        """Frames drawn with replacement by their chances."""
        assert self._chance is not None
        draws = torch.rand(len(self), dtype=torch.float64, generator=generator) * self._chance[-1]
        return torch.searchsorted(self._chance, draws, right=True).clamp(max=len(self) - 1)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[ScreenInputs, ScreenTargets]:
        """Frame `index`; see `Dataset.sample`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        if generator is None:
            return self._batch(cut(self.view(index)), index)
        return at_once(self, self._mixed_with(lambda: torch.arange(len(self)), index, generator))

    def in_epoch(
        self, index: int, generator: torch.Generator, order: torch.Generator
    ) -> Batch[ScreenInputs, ScreenTargets]:
        """An augmented view of frame `index`, mixed with none but what is `near`; see `Dataset.in_epoch`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        return at_once(self, self.begun(index, generator, order))

    def begun(
        self, index: int, generator: torch.Generator, order: torch.Generator
    ) -> Batch[ScreenInputs, ScreenTargets]:
        """The same, of which crops and what changes pixels may be left; see `Dataset.begun`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        return self._mixed_with(lambda: self.near(index, order), index, generator)

    @torch.no_grad()
    def finished(self, batch: Batch, later: Record | None) -> Batch:
        """The batch with its crops sampled and their pixels changed; see `Dataset.finished`."""
        if later is None:
            return batch
        assert isinstance(later, ScreenLater)
        assert isinstance(batch.later, ScreenLater)
        inputs = done(batch.inputs, batch.later, later, left(self.augmentations), self.sizes)
        return replace(batch, inputs=inputs, later=None)

    def near(self, index: int, order: torch.Generator) -> Int[Tensor, "k"]:
        """Frames that cost little to read beside frame `index` in the epoch that `order` draws, in order: any."""
        return torch.arange(len(self))

    def seen(self, index: int) -> Batch[ScreenInputs, ScreenTargets]:
        """Frame `index`, or with `on_corrupt` "skip" the next one that can be read; see `Dataset.seen`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        view, index = self._readable(index)
        return self._batch(cut(view), index)

    def view(self, index: int, streams: Sequence[str] = STREAMS) -> ScreenView:
        """Frame `index` as it is stored.

        Args:
            streams: whose pictures are needed; those that samples don't hold are left out in any case.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        shown = [stream for stream in STREAMS if stream in self.streams and stream in streams]
        raw, facts = self._read(index, shown), self.facts
        width, height = facts.frame_size[index].tolist()
        known = (self.labels.geometry[index].view(3, 4) * torch.tensor([width, height] * 2)).tolist()
        boxes = {stream: tuple(box) for stream, box in zip(STREAMS, known, strict=True) if all(map(math.isfinite, box))}
        placed, pictures = frozenset(boxes), {}
        for stream in shown:
            image = raw.pictures[stream] if stream in raw.pictures else raw.pictures["frame"]
            if stream not in raw.pictures:
                pictures[stream] = Picture(image, (0.0, 0.0, width, height))
                continue
            if stream not in boxes:
                boxes[stream] = inner((0.0, 0.0, float(image.shape[-1]), float(image.shape[-2])), self.margin)
                pictures[stream] = Picture(image, (0.0, 0.0, float(image.shape[-1]), float(image.shape[-2])))
            else:
                pictures[stream] = Picture(image, outer(boxes[stream], self.margin))
        imu = None if raw.imu is None or np.isnan(raw.imu).any() else torch.from_numpy(raw.imu.astype(np.float32))
        return ScreenView(
            pictures=pictures,
            boxes=boxes,
            placed=placed,
            frame_size=(width, height),
            sizes=self.sizes,
            targets=self._targets(index),
            landmarks=self._landmarks(raw),
            mirror=self._mirror,
            imu=(torch.zeros(9) if imu is None else imu) if "imu" in self.streams else None,
            imu_valid=float(imu is not None),
            orientation=int(self.labels.orientation[index]),
        )

    def _mixed_with(
        self, near: Callable[[], Int[Tensor, "k"]], index: int, generator: torch.Generator
    ) -> Batch[ScreenInputs, ScreenTargets]:
        view, index = self._readable(index)
        if all_left(self.augmentations):
            view = replace(view, sources=self._sources)
        view = cut(self._augmented(view, index, generator, near, len(self.augmentations)))
        return replace(self._batch(view, index), later=later(view))

    def _augmented(
        self,
        view: ScreenView,
        index: int,
        generator: torch.Generator,
        near: Callable[[], Int[Tensor, "k"]],
        steps: int,
    ) -> ScreenView:
        """The view after the first augmentations of the list, and of whatever is mixed in; some may be only drawn."""
        delayed = first_left(self.augmentations)
        for step, augment in enumerate(self.augmentations[:steps]):
            if isinstance(augment, CutMix):

                def other(
                    number: int, streams: Sequence[str], until: int = step, sources: Sources = view.sources
                ) -> ScreenView:
                    theirs, number = self._readable(number, streams)
                    theirs = replace(theirs, sources=sources)
                    return self._augmented(theirs, number, generator, near, until)

                view = augment.mixed(view, index, self.labels, near, other, generator)
            elif step >= delayed and isinstance(augment, ScreenChange):
                view = replace(view, draws=(*view.draws, *augment.draw(view, generator)))
            else:
                view = augment(view, generator)
        return view

    def _readable(self, index: int, streams: Sequence[str] = STREAMS) -> tuple[ScreenView, int]:
        """Frame `index`, or with `on_corrupt` "skip" the next one that can be read; and which one it is."""
        return self._substitutes.readable(index, lambda number: self.view(number, streams))

    def _batch(self, view: ScreenView, index: int) -> Batch[ScreenInputs, ScreenTargets]:
        wanted = self.streams
        # What is learned of a person's eyes would have another sign in a mirror: such a view is of nobody
        person = int(self._person[int(self.labels.subject[index])]) if view.own else -1
        inputs = ScreenInputs(
            # Channels last in memory, as they are decoded: collation copies them anyway
            **{stream: picture.image for stream, picture in view.pictures.items()},
            geometry=geometry(view) if "geometry" in wanted else None,
            landmarks=view.landmarks,
            imu=view.imu,
            imu_valid=torch.tensor(view.imu_valid) if "imu" in wanted else None,
            orientation=torch.tensor(view.orientation) if "orientation" in wanted else None,
            person=torch.tensor(person) if "person" in wanted else None,
        )
        return Batch(inputs, view.targets, torch.tensor(index))

    def _targets(self, index: int) -> ScreenTargets:
        labels, facts = self.labels, self.facts
        # Copies: a slice would take the labels of all frames along when a worker sends it.
        return ScreenTargets(
            **{name: getattr(labels, name)[index].clone() for name in _OF_LABELS},
            origin=facts.origin[index].clone(),
            distance_cm=facts.distance_cm[index].clone(),
            gaze=facts.gaze[index].clone(),
            unit=torch.tensor(UNITS.index(labels.unit)),
        )

    def _landmarks(self, raw: Raw) -> Float[Tensor, "l 2"] | None:
        if self._points is None:
            return None
        if raw.landmarks is None:
            return torch.full((len(self._points), 2), math.nan)
        return torch.from_numpy(raw.landmarks[self._points, :2].astype(np.float32))

    def _chances(self, balance: float) -> Float[Tensor, "n"] | None:
        """Running sum of the frames' chances; None if all are alike."""
        if not balance >= 0.0:
            raise ValueError(f"dataset.balance is {balance}; expected an exponent from 0 (frames) to 1 (people)")
        weight = self.labels.weight.double()
        if balance == 0 and (weight == weight[0]).all():
            return None
        subject, people = self.labels.subject, len(self.labels.subjects)
        counts = torch.bincount(subject, minlength=people).double()
        chance = weight * counts[subject].pow(-balance)
        share = torch.zeros(people, dtype=torch.float64).index_add_(0, subject, chance)
        effective = share.sum().square() / share.square().sum()
        log.info(
            "%s: %d people, sampled as if they were %.1f of equal share (balance=%g)",
            self.title,
            people,
            effective,
            balance,
        )
        return chance.cumsum(0)


_OF_LABELS = ("point", "screen_cm", "screen_px", "centre", "orientation", "kind", "device", "subject", "fixation")


def check_streams(streams: Sequence[str]) -> None:
    """Refuse inputs that do not exist."""
    unknown = [name for name in streams if name not in INPUTS]
    if unknown or not streams:
        said = ", ".join(map(repr, unknown)) or "nothing"
        raise ValueError(f"dataset.streams has {said}; expected some of {', '.join(INPUTS)}")


def crop_sizes(face_size: int | Sequence[int], eye_size: int | Sequence[int]) -> dict[str, tuple[int, int]]:
    """(height, width) of the samples' crops by stream."""
    eye = _size("eye_size", eye_size)
    return {"face": _size("face_size", face_size), "left_eye": eye, "right_eye": eye}


def _size(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"dataset.{name} is {size}; expected a side in pixels, or (height, width)")
    return sides[0], sides[1]


def _points(landmarks: Sequence[int] | None) -> list[int]:
    points = list(DEFAULT if landmarks is None else landmarks)
    if not points or not all(0 <= point < COUNT for point in points) or len(set(points)) < len(points):
        raise ValueError(f"dataset.landmarks is {points[:8]}...; expected different indices from 0 to {COUNT - 1}")
    return points
