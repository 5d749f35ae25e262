"""Screen recordings from a table, as tools/prepare_pog.py writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import MAX_PIXELS, ImageError, decode_image, read_image
from gaze.datasets.screen_frames import Raw, ScreenFrames, check_streams, crop_sizes
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_presence import absent
from gaze.datasets.screen_splits import HELD, HoldOut, conditions, frames_of
from gaze.datasets.screen_table import COLUMNS, check, one_unit, pack
from gaze.datasets.screen_view import STREAMS, Augmentation
from gaze.recordings.margins import one_margin
from gaze.recordings.order import lots, shuffled
from gaze.recordings.reading import ROW, RowReader, each, read_columns, table_files
from gaze.recordings.schema import header
from gaze.shard_order import ShardOrder
from gaze.stores.places import CACHE_GB, Place, Remote, place
from gaze.types import Batch, ScreenInputs, ScreenTargets

_CUTS = ("stored", "frame")
_CHECKS = ("labels", "pictures", "decode")


class ScreenDataset(ScreenFrames):
    """The valid frames of a table; a sample is one frame.

    Labels are in memory, pictures stay in the file: training goes through it in an order in which a few row groups
    at a time are decoded (gaze/recordings/order.py), and each worker keeps as many.

    Box jitter and rolls are exact from whole frames. From stored crops they are, too, as long as crops were stored
    with a margin that holds the moved box, as crops cut by tools/prepare_pog.py are; beyond, a crop's border is repeated.
    Crops are what most tables have, and three of them decode faster than a frame, hence the default.

    Args:
        path: the Parquet file, or a folder of them.
        split: train, val, test or calib, as the table says, or as `hold_out` makes them. Without val in the table
            people of train are held out for it.
        cut: "stored" takes crops as they are in the table, "frame" cuts them from the whole frame.
        where: columns and the value, or the values, that they must have, as {device_kind: phone, orientation: [1, 2]}.
        hold_out: who or what is the test split instead, as {subject: p03}, {device: ipad_air} or a subject's name. Frames
            that the table calls unused stay in no split, and its frames for calibration in none but calib.
        val_fraction: share of the people that are held out of train where there is no val; None: everybody trains,
            and val looks at some of them.
        check: what is looked at before training begins. "labels": no picture. "pictures": that each is there, some
            gigabytes a minute where a table also has frames without. "decode": also every pixel.
        max_pixels: a picture of more pixels than this is at fault.
        stream: the order of an epoch is computed place by place, for tables of more frames than a permutation is wanted
            of; `window`, `lanes` and `run` of `gaze.shard_order.ShardOrder`, whose shards are the row groups. None: all at once.
        cache: folder for pieces of a table that is at an address, such as s3://bucket/folder.
        cache_gb: what it may hold; the pieces that were not used for longest go first.

    All other arguments are those of `ScreenFrames`.

    Raises:
        DatasetError: the table, or what it holds, is not what training should begin with.
        UserError: there is no table, or one of another version.
    """

    def __init__(
        self,
        path: str,
        split: str,
        streams: Sequence[str] = (*STREAMS, "geometry"),
        face_size: int | Sequence[int] = 224,
        eye_size: int | Sequence[int] = 128,
        cut: str = "stored",
        landmarks: Sequence[int] | None = None,
        augmentations: Sequence[Augmentation | CutMix] = (),
        where: Mapping[str, Any] | None = None,
        hold_out: HoldOut = None,
        val_fraction: float | None = 0.1,
        balance: float = 0.0,
        check: str = "pictures",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        stream: Mapping[str, int] | None = None,
        cache: str | None = None,
        cache_gb: float = CACHE_GB,
    ) -> None:
        for name, value, allowed in (("cut", cut, _CUTS), ("check", check, _CHECKS)):
            if value not in allowed:
                raise ValueError(f"dataset.{name} is {value!r}; expected one of {', '.join(allowed)}")
        check_streams(streams)
        root = place(path, cache, cache_gb)
        path = str(root) if isinstance(root, Remote) else path  # messages need no options of an address
        self.max_pixels, self._path, self._stream = max_pixels, path, _stream(stream, balance)
        self._pictures = [stream for stream in STREAMS if stream in streams]
        self._stored = ["frame"] if cut == "frame" and self._pictures else self._pictures
        files = table_files(root)
        headers = dict(zip(files, each(header, files), strict=True))
        margin, unit = one_margin(headers), one_unit(path, (told.label_unit for told in headers.values()))
        self._enough = {  # a crop needs no more pixels than its sample and the margin around it have
            stream: (math.ceil(height * (1 + 2 * margin)), math.ceil(width * (1 + 2 * margin)))
            for stream, (height, width) in crop_sizes(face_size, eye_size).items()
        }
        table, people = _rows(root, split, where, hold_out, val_fraction)
        kept = self._stream["window"] * self._stream["lanes"] if self._stream else 8
        self._reader = RowReader(root, self._columns(streams), kept)
        table, faults = _checked(table, self._pictures if cut == "frame" else [])
        for wanted, look in (("pictures", partial(self._present, root)), ("decode", self._decodable)):
            if _CHECKS.index(check) >= _CHECKS.index(wanted):
                table, more = look(table)
                faults += more
        self._rows = torch.from_numpy(table[ROW].to_numpy().copy())
        self._bounds = torch.from_numpy(self._reader.bounds)
        self._near: tuple[int, Tensor, Sequence[Tensor]] | None = None  # of the epoch last asked for
        self._shards: ShardOrder | None = None  # likewise
        self._begun: set[int] = set()  # windows of that epoch
        labels, facts = pack(table, unit)
        super().__init__(
            title=f"the {split} split of {path}",
            labels=labels,
            facts=facts,
            read=self._raw,
            faults=faults,
            streams=streams,
            face_size=face_size,
            eye_size=eye_size,
            landmarks=landmarks,
            augmentations=augmentations,
            people=people,
            balance=balance,
            margin=margin,
            on_corrupt=on_corrupt,
            skip_limit=skip_limit,
            sources=self._enough if cut == "stored" and augmentations and self._given_as_enough() else None,
        )

    def order(self, generator: torch.Generator) -> Int[Tensor, "n"] | ShardOrder:
        """The frames of an epoch, those of the same few row groups together."""
        if self._stream:
            return self._streamed(generator)
        lot = lots(self._rows, self._bounds, generator)  # first, so that `near` draws the same
        chosen = self._drawn(generator) if self._chance is not None else torch.arange(len(self))
        return chosen[shuffled(lot[chosen], generator)]

    def near(self, index: int, order: torch.Generator) -> Int[Tensor, "k"]:
        """The frames whose row groups are decoded while frame `index` is used in the epoch that `order` draws."""
        if self._stream:
            return self._streamed(order).near(index)
        if self._near is None or self._near[0] != order.initial_seed():
            lot = lots(self._rows, self._bounds, order)
            members = lot.argsort(stable=True).split(lot.bincount().tolist())
            self._near = order.initial_seed(), lot, members
        _, lot, members = self._near
        return members[int(lot[index])]

    def begun(
        self, index: int, generator: torch.Generator, order: torch.Generator
    ) -> Batch[ScreenInputs, ScreenTargets]:
        """An augmented view of frame `index`; see `Dataset.begun`. The next row groups of a stream are fetched meanwhile.

        Raises:
            ImageError: a picture is missing or can't be read.
            UserError: a store can't be read.
        """
        if self._stream:
            shards = self._streamed(order)
            window = shards.window_of(index)
            if window not in self._begun:
                self._begun.add(window)
                self._reader.turn(done=shards.shards_of(window - 1), next=shards.shards_of(window + 1))
        return super().begun(index, generator, order)

    def _streamed(self, drawn: torch.Generator) -> ShardOrder:
        seed = drawn.initial_seed()
        if self._shards is None or self._shards.seed != seed:
            firsts = torch.searchsorted(self._rows, self._bounds)
            self._shards, self._begun = ShardOrder(firsts, seed, **self._stream), set()
        return self._shards

    def _columns(self, streams: Sequence[str]) -> list[str]:
        stored = [f"{picture}_{kind}" for picture in self._stored for kind in ("path", "bytes")]
        return ["sample_id", *stored, *(name for name in ("landmarks", "imu") if name in streams)]

    def _raw(self, index: int, streams: Sequence[str]) -> Raw:
        return self._of(int(self._rows[index]), streams)

    def _of(self, number: int, streams: Sequence[str]) -> Raw:
        row = self._reader.row(number)
        pictures = {p: self._picture(row, p) for p in self._stored if p in ("frame", *streams)}
        landmarks = row["landmarks"].reshape(-1, 3) if "landmarks" in row else None
        return Raw(pictures, landmarks, row.get("imu"))

    def _picture(self, row: Mapping[str, Any], picture: str) -> UInt8[Tensor, "3 H W"]:
        path, data = row[f"{picture}_path"], row[f"{picture}_bytes"]
        if isinstance(path, Remote):
            return decode_image(str(path), path.read_bytes(), self.max_pixels, at_least=self._enough.get(picture))
        if path is not None:
            return read_image(path, self.max_pixels, at_least=self._enough.get(picture))
        if data is None:
            other = "cut=stored" if picture == "frame" else "cut=frame"
            raise ImageError(
                row["sample_id"], f"has no {picture}; prepare the table with it, leave it out or try {other}"
            )
        name = f"{picture} of {row['sample_id']} in {self._path}"
        return decode_image(name, data, self.max_pixels, at_least=self._enough.get(picture))

    def _given_as_enough(self) -> bool:
        """Whether crops are decoded to the very size that samples need, so that they can be sampled for a batch at once.

        From any other size they would be interpolated twice, and training would see blurrier pictures than evaluation
        does. The first frame speaks for all, so that batches stay alike.
        """
        if not len(self._rows):
            return False
        try:
            pictures = self._raw(0, self._pictures).pictures
        except ImageError:
            return False  # what happens to such a frame is decided when it is used
        finally:
            self._reader.turn(
                done=range(len(self._bounds) - 1), next=()
            )  # what is decoded in here is of no use to workers
        return all(tuple(image.shape[-2:]) == self._enough[stream] for stream, image in pictures.items())

    def _present(self, root: Place, table: pa.Table) -> tuple[pa.Table, list[Fault]]:
        return _without(table, absent(root, table[ROW].to_numpy(), self._stored))

    def _decodable(self, table: pa.Table) -> tuple[pa.Table, list[Fault]]:
        found: dict[int, str] = {}
        for at, number in enumerate(table[ROW].to_pylist()):
            try:
                self._of(number, self._pictures)
            except ImageError as error:
                found[at] = str(error)
        return _without(table, found)


_checked = check  # the argument of this name hides it


def _stream(stream: Mapping[str, int] | None, balance: float) -> dict[str, int]:
    """The settings of a stream, whole; nothing without one."""
    if stream is None:
        return {}
    settings = {"window": 8, "lanes": 1, "run": 64}
    unknown = sorted(set(stream) - set(settings))
    if unknown:
        raise ValueError(f"dataset.stream has {', '.join(unknown)}; expected some of {', '.join(settings)}")
    if balance:
        raise ValueError(
            f"dataset.stream takes each frame once, and dataset.balance is {balance}; leave one of them out"
        )
    return settings | dict(stream)


def _rows(
    path: Place, split: str, where: Mapping[str, Any] | None, hold_out: HoldOut, val_fraction: float | None
) -> tuple[pa.Table, list[str]]:
    """The rows of the split and the people of training, from labels alone."""
    columns = list(dict.fromkeys([*COLUMNS, *HELD]))
    table = read_columns(path, columns, conditions({"valid": True, **(where or {})}))  # type: ignore[arg-type]
    if not len(table):
        which = f"of {dict(where)} " if where else ""
        raise DatasetError(
            f"{path} holds no valid frame {which}among its {len(RowReader(path, []))}; expected some: reject_reason says "
            "what is wrong with each, and report.md beside a prepared table how often"
        )
    mask, people = frames_of(str(path), table, split, hold_out, val_fraction)
    return table.filter(pa.array(mask)), people


def _without(table: pa.Table, found: Mapping[int, str]) -> tuple[pa.Table, list[Fault]]:
    """The rows but for those in which something was found, and a fault for each of these."""
    do = "restore it, or prepare the table again"
    faults = [Fault(table["sample_id"][i].as_py(), what, "readable pictures", do) for i, what in sorted(found.items())]
    keep = np.ones(len(table), dtype=bool)
    keep[list(found)] = False
    return table.filter(pa.array(keep)), faults
