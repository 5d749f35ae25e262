"""Faces with 3D gaze, of one data set or of several, as single pictures or as clips."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.datasets.face_augment import ResizedCrop
from gaze.datasets.face_view import Augmentation, FaceView, stacked
from gaze.datasets.faults import DatasetError, EmptySplitError, Fault, report
from gaze.datasets.image import ImageError
from gaze.faces.checks import check_columns, check_labels, check_pictures
from gaze.faces.facts import facts_of
from gaze.faces.index import Faces, joined, people
from gaze.faces.labels import direction_labels
from gaze.faces.limits import Limit, within
from gaze.faces.protocols import Held, check_split, hold_out, parts_of, rows_of
from gaze.faces.windows import windows
from gaze.types import Batch, DirectionInputs, DirectionTargets

log = logging.getLogger(__name__)

_POLICIES = ("raise", "skip")
_CHECKS = ("labels", "pictures", "decode")
_SUBSTITUTES = 8  # unreadable samples in a row before training stops anyway
_REMEDY = "Correct them, or drop what is at fault: on_corrupt=skip"


class Directions(Dataset):
    """The samples of a split; a sample is one face, or a clip of faces around one.

    Everybody is in one split (see gaze/faces/protocols.py). Labels are in memory, pictures stay where they are.

    Args:
        source: what reads the data set, or several by name.
        split: train, val, test, or unlabelled for pictures that are published without gaze.
        face_size: side of the samples in px, or (height, width).
        augmentations: applied in order; training only.
        hold_out: who or what is tested and not trained on: a subject's name, or one key of
            `gaze.faces.protocols.HoldOut` with its partner, as {dataset: mpiifacegaze, train: xgaze}.
        val_subjects: where a data set has no validation split, how many of its last subjects are validated on, or who;
            null: everybody trains, and validation looks at some of them (trainer.mode=last).
        test_subjects: where it has no test split and nothing is held out, how many of the last subjects are tested on.
        yaw_max_deg, pitch_max_deg: leave out samples that look further aside, up or down; or by name of the data set.
        window: frames of a clip, odd; 1: single pictures.
        window_step: numbers of frames from one of a clip to the next.
        allow_cross_split_context: may frames around a sample come from another split than its own and the unused frames?
        check: what is looked at before training begins. "labels": no picture. "pictures": that each is there, and not empty.
            "decode": also every pixel.
        on_corrupt: "raise" reports the faults as an error. "skip" keeps them in `faults`, and replaces a sample that turns
            out to be unreadable in training by the next readable one.
        skip_limit: the most faults, as a share of the samples, that "skip" accepts.

    Attributes:
        labels: `DirectionLabels`.
        facts: what figures must say beside themselves; see `gaze.faces.facts`.

    Raises:
        DatasetError: what was found is not what training should begin with.
    """

    def __init__(
        self,
        source: Faces | Mapping[str, Faces],
        split: str,
        face_size: int | Sequence[int] = 224,
        augmentations: Sequence[Augmentation] = (),
        hold_out: Held = None,
        val_subjects: int | Sequence[str] | None = None,
        test_subjects: int = 0,
        yaw_max_deg: Limit = None,
        pitch_max_deg: Limit = None,
        window: int = 1,
        window_step: int = 1,
        allow_cross_split_context: bool = False,
        check: str = "pictures",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
    ) -> None:
        for key, value, choices in (("check", check, _CHECKS), ("on_corrupt", on_corrupt, _POLICIES)):
            if value not in choices:
                raise ValueError(f"dataset.{key} is {value!r}; expected one of {', '.join(choices)}")
        if window < 1 or window % 2 == 0 or window_step < 1:
            raise ValueError(
                f"dataset.window is {window}, window_step {window_step}; expected an odd number, and 1 or more"
            )
        check_split(split)
        self.size = _size(face_size)
        self.sources = {s.name: s for s in (source.values() if isinstance(source, Mapping) else [source])}
        self.augmentations, self.on_corrupt, self.window = list(augmentations), on_corrupt, window
        self._check_augmentations()
        self.title = f"the {split} split of {', '.join(s.root for s in self.sources.values())}"
        table, faults = self._read()
        clusters, held = {name: source.clusters() for name, source in self.sources.items()}, _held(hold_out)
        # Of all rows: an evaluation with other limits must not test on what is trained on
        part = parts_of(table, held, val_subjects, test_subjects, clusters)
        kept = within(table, yaw_max_deg, pitch_max_deg)
        table, part = table.filter(pa.array(kept)), part[kept]
        self.facts: Mapping[str, str] = facts_of(
            held, list(self.sources), clusters, {"yaw": yaw_max_deg, "pitch": pitch_max_deg}
        )
        chosen = rows_of(part, people(table), split)
        if check != "labels":
            whole, more = check_pictures(table.filter(pa.array(chosen)), self.sources, check == "decode")
            chosen[np.flatnonzero(chosen)] = _still(table.filter(pa.array(chosen)), whole)
            faults += more
        if not chosen.any():
            there = ", ".join(sorted(set(part.tolist()))) or "nothing"
            raise EmptySplitError(
                f"{self.title} holds no sample that can be used; the data has {there}; see hold_out, val_subjects and "
                f"test_subjects to make splits. {report(self.title, faults) if faults else ''}"
            )
        self._dropped = faults
        self._judge(skip_limit, int(chosen.sum()))
        self._table, self._rows = table, torch.from_numpy(np.flatnonzero(chosen))
        self._clips = (
            windows(table, part, np.flatnonzero(chosen), window, window_step, allow_cross_split_context)
            if window > 1
            else None
        )
        self.labels: DirectionLabels = direction_labels(table.filter(pa.array(chosen)))
        self._replaced = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # written by loader workers

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the samples that were replaced since, in any loader worker."""
        found, do = "can't be read, and another sample takes its place", "restore it"
        late = self._replaced.nonzero()[:, 0].tolist()
        return [*self._dropped, *(Fault(self.name(i), found, "a readable picture", do) for i in late)]

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """The data set and the picture."""
        row = int(self._rows[index])
        return f"{self._table['dataset'][row].as_py()}/{self._table['path'][row].as_py()}"

    def group(self, index: int) -> str:
        """Who it is."""
        return self.labels.subjects[int(self.labels.subject[index])]

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[DirectionInputs, DirectionTargets]:
        """Sample `index`; see `Dataset.sample`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        if generator is None:
            view, present = self._view(index)
            return self._batch(view, present, index)
        view, present, index = self._readable(index)
        for augment in self.augmentations:
            view = augment(view, generator)
        return self._batch(view, present, index)

    def seen(self, index: int) -> Batch[DirectionInputs, DirectionTargets]:
        """Sample `index`, or with `on_corrupt` "skip" the next one that can be read; see `Dataset.seen`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        return self._batch(*self._readable(index))

    def _readable(self, index: int) -> tuple[FaceView, Tensor | None, int]:
        for attempt in range(_SUBSTITUTES):
            try:
                return *self._view(index), index
            except ImageError as error:
                if self.on_corrupt != "skip" or attempt == _SUBSTITUTES - 1:
                    raise
                log.warning("%s; sample %d takes its place", error, (index + 1) % len(self))
                self._replaced[index] = True
                index = (index + 1) % len(self)
        raise AssertionError("the loop returns or raises")

    def _view(self, index: int) -> tuple[FaceView, Tensor | None]:
        if self._clips is None:
            rows, present = [int(self._rows[index])], None
        else:
            rows, present = self._clips[0][index].tolist(), torch.from_numpy(self._clips[1][index].copy())
            rows, present = self._there(rows, present)
        pictures = {row: self._picture(row) for row in dict.fromkeys(rows)}
        labels = self.labels
        # Copies: a slice would take the labels of all samples along when a worker sends it
        return FaceView(
            tuple(pictures[row] for row in rows), labels.gaze[index].clone(), labels.head[index].clone()
        ), present

    def _there(self, rows: list[int], present: Tensor) -> tuple[list[int], Tensor]:
        """The clip with the nearest picture in place of those that can't be read, which are then not present."""
        if self.on_corrupt != "skip":
            return rows, present
        centre = len(rows) // 2
        for place, row in enumerate(rows):
            if present[place] and place != centre:
                try:
                    self._picture(row)
                except ImageError as error:
                    log.warning("%s; the nearest frame takes its place", error)
                    present[place] = False
        whole = present.nonzero()[:, 0].tolist()
        return [rows[min(whole, key=lambda other: abs(other - place))] for place in range(len(rows))], present

    def _picture(self, row: int) -> Tensor:
        source = self.sources[self._table["dataset"][row].as_py()]
        return source.picture(self._table["path"][row].as_py())

    def _batch(self, view: FaceView, present: Tensor | None, index: int) -> Batch[DirectionInputs, DirectionTargets]:
        images = stacked(view, self.size)
        inputs = DirectionInputs(images[0] if present is None else images, present)
        targets = DirectionTargets(view.gaze, view.head, self.labels.subject[index].clone())
        return Batch(inputs, targets, torch.tensor(index))

    def _read(self) -> tuple[pa.Table, list[Fault]]:
        """All rows of all sources whose labels can be used."""
        tables, faults = [], []
        for name, source in self.sources.items():
            table, wrong = source.index()
            check_columns(name, table)
            table, more, counted = check_labels(table)
            if counted:
                log.warning("%s: %d gaze vectors were not of unit length and are now", source.root, counted)
            tables.append(table)
            faults += [*wrong, *more]
        if faults and self.on_corrupt == "raise":
            raise DatasetError(f"{report(self.title, faults)}\n{_REMEDY}")
        return joined(tables), faults

    def _check_augmentations(self) -> None:
        cropped = [s.name for s in self.sources.values() if s.normalised]
        if cropped and any(isinstance(augment, ResizedCrop) for augment in self.augmentations):
            raise ValueError(
                f"dataset.augmentations has ResizedCrop, and {', '.join(cropped)} holds normalised pictures, whose parts "
                "are what another camera sees; expected it for faces cut out by a box only; leave it out"
            )

    def _judge(self, skip_limit: float, usable: int) -> None:
        if self._dropped and self.on_corrupt == "raise":
            raise DatasetError(f"{report(self.title, self._dropped)}\n{_REMEDY}")
        total = usable + len(self._dropped)
        if len(self._dropped) > skip_limit * total:
            limit = f"more than skip_limit={skip_limit:g} of its {total} samples; correct them or raise the limit"
            raise DatasetError(f"{report(self.title, self._dropped)}\nThat is {limit}")
        if self._dropped:
            log.warning("%s; skipped", report(self.title, self._dropped))


_held = hold_out  # the argument of this name hides it


def _still(before: pa.Table, after: pa.Table) -> np.ndarray:
    """Which rows of the table before are in the one after; both in one order, and no picture is there twice."""
    left = set(zip(after["dataset"].to_pylist(), after["path"].to_pylist(), strict=True))
    return np.array(
        [key in left for key in zip(before["dataset"].to_pylist(), before["path"].to_pylist(), strict=True)]
    )


def _size(size: int | Sequence[int]) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"dataset.face_size is {size}; expected a side in pixels, or (height, width)")
    return sides[0], sides[1]
