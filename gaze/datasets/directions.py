"""Faces with 3D gaze, of one data set or of several, as single pictures or as clips."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.datasets.face_augment import ResizedCrop
from gaze.datasets.face_view import Augmentation, FaceView, stacked
from gaze.datasets.faults import DatasetError, EmptySplitError, Fault, report
from gaze.datasets.image import ImageError, resize
from gaze.datasets.later import applied, at_once, changed, drawn, pixel_changes
from gaze.datasets.substitutes import REMEDY, Substitutes
from gaze.faces.checks import check_columns, check_labels, check_pictures
from gaze.faces.facts import facts_of
from gaze.faces.index import Faces, joined, people
from gaze.faces.labels import direction_labels
from gaze.faces.limits import Limit, within
from gaze.faces.protocols import Held, check_split, hold_out, parts_of, rows_of
from gaze.faces.windows import windows
from gaze.types import Batch, DirectionInputs, DirectionTargets, Record

log = logging.getLogger(__name__)

_POLICIES = ("raise", "skip")
_CHECKS = ("labels", "pictures", "decode")


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
        answers = int(chosen.sum()) + len(faults)
        self._substitutes = Substitutes(self.title, on_corrupt, faults, answers, skip_limit, "samples")
        self._table, self._rows = table, torch.from_numpy(np.flatnonzero(chosen))
        self._clips = (
            windows(table, part, np.flatnonzero(chosen), window, window_step, allow_cross_split_context)
            if window > 1
            else None
        )
        self.labels: DirectionLabels = direction_labels(table.filter(pa.array(chosen)))
        self._substitutes.begin(len(self))

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the samples that were replaced since, in any loader worker."""
        return self._substitutes.faults(self.name, "sample", "a readable picture", "restore it")

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
        return at_once(self, self.begun(index, generator, generator))

    def begun(
        self, index: int, generator: torch.Generator, order: torch.Generator
    ) -> Batch[DirectionInputs, DirectionTargets]:
        """An augmented view, of which the changes of pixels at the end of the list are left; see `Dataset.begun`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        (view, present), index = self._substitutes.readable(index, self._view)
        view = changed(view, self.augmentations, generator)
        left = drawn(pixel_changes(self.augmentations), generator)
        return replace(self._batch(view, present, index), later=left)

    @torch.no_grad()
    def finished(self, batch: Batch, later: Record | None) -> Batch:
        """The batch with its pixels changed; see `Dataset.finished`."""
        if later is None:
            return batch
        face = applied(pixel_changes(self.augmentations), batch.inputs.face, batch.later, later)
        return replace(batch, inputs=replace(batch.inputs, face=face), later=None)

    def seen(self, index: int) -> Batch[DirectionInputs, DirectionTargets]:
        """Sample `index`, or with `on_corrupt` "skip" the next one that can be read; see `Dataset.seen`.

        Raises:
            ImageError: a picture is missing or can't be read.
        """
        (view, present), index = self._substitutes.readable(index, self._view)
        return self._batch(view, present, index)

    def _view(self, index: int) -> tuple[FaceView, Tensor | None]:
        pictures: tuple[Tensor, ...]
        if self._clips is None:
            pictures, present = (self._picture(int(self._rows[index])),), None
        else:
            pictures, present = self._clip(self._clips[0][index].tolist(), self._clips[1][index].copy())
        labels = self.labels
        # Copies: a slice would take the labels of all samples along when a worker sends it
        return FaceView(pictures, labels.gaze[index].clone(), labels.head[index].clone()), present

    def _clip(self, rows: list[int], present: np.ndarray) -> tuple[tuple[Tensor, ...], Tensor]:
        """The pictures of a clip, with "skip" the nearest in place of those that can't be read, which are not present then.

        Raises:
            ImageError: that of the centre can't be read, or any without "skip".
        """
        read: dict[int, Tensor] = {}
        for place, row in enumerate(rows):
            if row in read:
                continue
            try:
                read[row] = self._picture(row)
            except ImageError as error:
                if self.on_corrupt != "skip" or row == rows[len(rows) // 2]:
                    raise
                log.warning("%s; the nearest frame takes its place", error)
                present[place] = False
        there = [place for place in np.flatnonzero(present).tolist() if rows[place] in read]
        nearest = [min(there, key=lambda other: abs(other - place)) for place in range(len(rows))]
        chosen = [row if row in read else rows[near] for row, near in zip(rows, nearest, strict=True)]
        return tuple(read[row] for row in chosen), torch.from_numpy(present)

    def _picture(self, row: int) -> Tensor:
        source = self.sources[self._table["dataset"][row].as_py()]
        return source.picture(self._table["path"][row].as_py())

    def _batch(self, view: FaceView, present: Tensor | None, index: int) -> Batch[DirectionInputs, DirectionTargets]:
        face = resize(view.images[0], self.size) if present is None else stacked(view, self.size)
        inputs = DirectionInputs(face, present)
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
            raise DatasetError(f"{report(self.title, faults)}\n{REMEDY}")
        return joined(tables), faults

    def _check_augmentations(self) -> None:
        cropped = [s.name for s in self.sources.values() if s.normalised]
        if cropped and any(isinstance(augment, ResizedCrop) for augment in self.augmentations):
            raise ValueError(
                f"dataset.augmentations has ResizedCrop, and {', '.join(cropped)} holds normalised pictures, whose parts "
                "are what another camera sees; expected it for faces cut out by a box only; leave it out"
            )


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
