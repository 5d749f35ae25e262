"""Views of heads to render: pictures with masks, cameras, codes, gaze and poses, from HDF5 files of one person each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import EmptySplitError, Fault
from gaze.datasets.splits import SPLITS
from gaze.datasets.substitutes import Substitutes
from gaze.faces.files import LazyFiles, opened
from gaze.head_views.frames import held_out, kept
from gaze.head_views.labels import HeadLabels, joined
from gaze.head_views.layout import keys_of
from gaze.head_views.memory import PictureMemory
from gaze.head_views.pairs import drawn, index_pairs, ranks, targets_of
from gaze.head_views.pictures import MASKS, HeadPicture, read_picture
from gaze.head_views.reading import HeadFile, read_files
from gaze.head_views.splits import chosen, head_files
from gaze.types import Batch, FaceInputs, FaceTargets

log = logging.getLogger(__name__)

NO_CORRECTION = -1  # `FaceInputs.sample` of views that are not trained on
_POLICIES = ("raise", "skip")


class HeadViews(Dataset):
    """One sample is one view of one person: ETH-XGaze as rendered data, the sets that are tested on, and synthetic heads.

    Everybody is in one split of train_test_split.json. Labels are in memory, pictures stay in their files.

    Args:
        root: holds the files, in folders or not; see `gaze.head_views.layout`.
        split: train, val or test.
        kind: xgaze, mpii, columbia or gaze_capture: what the files are called after, if they are.
        image_size: side of samples in px, at most the files'; null: theirs.
        identity, expression: first and end column of these parts of latent codes.
        vertex_stride: every so many vertices of the head stand behind the landmarks; null: none.
        key_map: {name in the layout: name in the files, or null where files lack an array that may lack}.
        erode: by how many pixels of the file head masks are made smaller.
        held_frames: share of each training person's frames that are split "val" instead, with all their cameras; null: the
            people of the list's val are.
        subjects: names or numbers of those to keep; null: everybody.
        share: of each person's remaining frames that are trained on.
        gaze_limit_rad: pitch and yaw in the head beyond which a label is at fault.
        train_yaw_rad: most yaw of gaze in the head, to each side, that is trained on, so that other splits show what lies
            beyond; null: all.
        cache: keep pictures in memory once read: 6 bytes a pixel and sample, shared by loader workers.
        on_corrupt: "raise" reports the faults as an error. "skip" keeps them in `faults`, and replaces a view that turns out
            to be unreadable in training by the next readable one.
        skip_limit: the most faults, as a share of the views, that "skip" accepts.

    Attributes:
        labels: `HeadLabels`, one row per sample.
        subjects, subject: names of people, and for each sample the number of its own.
        row: of each sample in its file.
        views: how many each person's file holds, by name.
        unmasked: views that are not trained on because their masks say nothing.

    Raises:
        DatasetError: what was found is not what training should begin with.
    """

    def __init__(
        self,
        root: str,
        split: str,
        kind: str = "xgaze",
        image_size: int | None = None,
        identity: Sequence[int] = (0, 80),
        expression: Sequence[int] = (80, 144),
        vertex_stride: int | None = 100,
        key_map: Mapping[str, str | None] | None = None,
        erode: int = 2,
        held_frames: float | None = None,
        subjects: Sequence[str | int] | None = None,
        share: float = 1.0,
        gaze_limit_rad: float = 1.4,
        train_yaw_rad: float | None = None,
        cache: bool = False,
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
    ) -> None:
        _check(split, held_frames, share, erode, vertex_stride, on_corrupt)
        parts = [_part("identity", identity), _part("expression", expression)]
        self.root, self.split, self.kind = str(root), split, kind
        self.title = f"the {split} split of {root}"
        self._keys, self.erode, self._train_yaw = keys_of(key_map or {}), erode, train_yaw_rad
        if vertex_stride is None:
            self._keys["vertice"] = None
        listed = head_files(root, kind)
        self._held = held_frames is not None and split == "val"
        source = "train" if self._held else split
        files = chosen(listed.of(source), subjects, self.title)
        read = read_files(files, self._keys, vertex_stride, max(part.stop for part in parts), gaze_limit_rad)
        self.size = _size(image_size, read[0])
        used = [self._used(file, held_frames, share) for file in read]
        faults = [fault for file in read for fault in file.faults]
        views = sum(file.sizes.views for file in read)
        self._substitutes = Substitutes(self.title, on_corrupt, faults, views, skip_limit, "views")
        rows = [torch.from_numpy(np.flatnonzero(flags)) for flags in used]
        if not sum(map(len, rows)):
            raise EmptySplitError(
                f"{self.title} has no view that can be used of {views}; see held_frames, subjects and share"
            )
        self.subjects: tuple[str, ...] = tuple(file.person for file in read)
        self.views = {file.person: file.sizes.views for file in read}
        self.subject = torch.cat([torch.full_like(own, i) for i, own in enumerate(rows)])
        self.row = torch.cat(rows)
        self.labels: HeadLabels = joined([file.labels.rows(own) for file, own in zip(read, rows, strict=True)])
        number = torch.arange(len(self.row)) if split == "train" else torch.full_like(self.row, NO_CORRECTION)
        self._inputs = self.labels.inputs(parts[0], parts[1], self.size / read[0].sizes.height, number)
        self._paths = [str(file.path) for file in read]
        self._files = LazyFiles(opened)
        masks = [name for name in MASKS if self._keys[name] is not None]
        self._memory = PictureMemory(len(self), self.size, masks) if cache else None
        self._substitutes.begin(len(self))
        self._tell(read)

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the views that were replaced since, in any loader worker."""
        return self._substitutes.faults(self.name, "view", "readable arrays", "fetch the file again")

    def __len__(self) -> int:
        return len(self.row)

    def name(self, index: int) -> str:
        """The file and the row."""
        path = Path(self._paths[int(self.subject[index])])
        return f"{path.relative_to(self.root)}#{int(self.row[index])}"

    def group(self, index: int) -> str:
        """Who it is."""
        return self.subjects[int(self.subject[index])]

    def pairs(self, list_file: str | None = None, seed: int = 0) -> Int[Tensor, "p 2"]:
        """Samples (input, target) of a test of redirection: inputs take over the targets' gaze and pose.

        Args:
            list_file: the order of targets, as published; null: the one that is stored with the split, or is drawn then.
                Of held-out frames it is drawn each time, the same by the same seed.
            seed: of the draw.

        Raises:
            DatasetError: the list is not one of this split, or people have different numbers of views.
        """
        path = None if list_file is None else Path(list_file)
        if self._held and path is None:
            # Stored lists are of whole files; of these frames each person has a few, wherever they are in the file.
            fewest = int(self.subject.bincount().min())
            rank = ranks(self.subject)
            views = dict.fromkeys(self.views, fewest)
            some = rank < fewest
            numbers = torch.nonzero(some)[:, 0]
            return numbers[index_pairs(self.subject[some], rank[some], views, drawn(fewest, seed), self.split)]
        targets = targets_of(Path(self.root), self.split, max(self.views.values()), path, seed)
        return index_pairs(self.subject, self.row, self.views, targets, self.split)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[FaceInputs, FaceTargets]:
        """View `index`; see `Dataset.sample`. Nothing is augmented: a picture is bound to its camera.

        Raises:
            ImageError: its pictures can't be read.
        """
        return self._batch(self._picture(index), index) if generator is None else self.seen(index)

    def seen(self, index: int) -> Batch[FaceInputs, FaceTargets]:
        """View `index`, or with `on_corrupt` "skip" the next one that can be read; see `Dataset.seen`.

        Raises:
            ImageError: its pictures can't be read.
        """
        return self._batch(*self._substitutes.readable(index, self._picture))

    def _picture(self, index: int) -> HeadPicture:
        if self._memory is not None and (known := self._memory.get(index)) is not None:
            return known
        file = self._files(self._paths[int(self.subject[index])])
        picture = read_picture(file, int(self.row[index]), self._keys, self.size, self.erode)
        if self._memory is not None:
            self._memory.put(index, picture)
        return picture

    def _batch(self, picture: HeadPicture, index: int) -> Batch[FaceInputs, FaceTargets]:
        # Copies: a row would take the labels of all samples along when a worker sends it
        inputs = self._inputs.map(lambda values: values[index].clone())
        targets = FaceTargets(
            **vars(picture),
            landmarks=self.labels.landmarks[index].clone(),
            gaze=self.labels.camera_gaze[index].clone(),
            head=self.labels.camera_head[index].clone(),
            subject=self.subject[index].clone(),
        )
        return Batch(inputs, targets, torch.tensor(index))

    def _used(self, file: HeadFile, held_frames: float | None, share: float) -> np.ndarray:
        """Which views of a file are samples of this split."""
        frame = file.labels.frame.numpy()
        used = file.fine.copy()
        if held_frames is not None and self.split != "test":
            held = held_out(file.person, frame, held_frames)
            used &= held if self.split == "val" else ~held
        if self.split == "train":
            used &= file.masked
            if self._train_yaw is not None:
                used &= (file.labels.gaze[:, 1].abs() <= self._train_yaw).numpy()
            if used.any():
                used[used] &= kept(file.person, frame[used], share)
        return used

    def _tell(self, read: Sequence[HeadFile]) -> None:
        self.unmasked = sum(int((~file.masked).sum()) for file in read) if self.split == "train" else 0
        sizes = read[0].sizes
        log.info(
            "%s: %d views of %d people, %d px, codes of %d numbers, %d landmarks, %d vertices",
            *(self.title, len(self), len(read), sizes.height, sizes.codes, sizes.landmarks, sizes.vertices),
        )
        if self.unmasked:
            headless = sum(int((~file.headed).sum()) for file in read)
            log.warning(
                "%s: %d of %d views are not trained on: %d without a mask of the head, %d without one of an eye",
                *(self.title, self.unmasked, sum(f.sizes.views for f in read), headless, self.unmasked - headless),
            )


def _check(
    split: str, held_frames: float | None, share: float, erode: int, vertex_stride: int | None, on_corrupt: str
) -> None:
    for key, value, choices in (("split", split, SPLITS), ("on_corrupt", on_corrupt, _POLICIES)):
        if value not in choices:
            raise ValueError(f"dataset.{key} is {value!r}; expected one of {', '.join(choices)}")
    if held_frames is not None and not 0 < held_frames < 1:
        raise ValueError(f"dataset.held_frames is {held_frames}; expected a share above 0 and below 1, or null")
    if not 0 < share <= 1:
        raise ValueError(f"dataset.share is {share}; expected a share above 0 and up to 1")
    if erode < 0 or (vertex_stride is not None and vertex_stride < 1):
        raise ValueError(
            f"dataset.erode is {erode} and vertex_stride {vertex_stride}; expected 0 or more, and 1 or more or null"
        )


def _part(name: str, columns: Sequence[int]) -> slice:
    if len(columns) != 2 or not 0 <= columns[0] < columns[1]:
        raise ValueError(
            f"dataset.{name} is {list(columns)}; expected the first and the end column of a part of the codes"
        )
    return slice(columns[0], columns[1])


def _size(image_size: int | None, file: HeadFile) -> int:
    stored = file.sizes.height
    if image_size is not None and not 1 <= image_size <= stored:
        raise ValueError(
            f"dataset.image_size is {image_size} and {file.path} has pictures of {stored} px; expected 1 to {stored}, or null"
        )
    return stored if image_size is None else image_size
