"""The labels of a table of recordings as flat arrays, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.names import Names
from gaze.datasets.screen_labels import ScreenLabels
from gaze.datasets.screen_view import STREAMS
from gaze.devices import KINDS
from gaze.geometry import screen_to_camera_plane
from gaze.label_units import CM, HALF_WINDOWS, UNITS
from gaze.recordings.checks import failing
from gaze.recordings.columns import words
from gaze.recordings.units import likely_units

_BOXES = tuple(f"{stream}_box" for stream in STREAMS)
COLUMNS = (  # all that labels are made of
    *("sample_id", "subject", "recording", "split", "frame_w", "frame_h", *_BOXES, "head_distance_cm"),
    *("device", "device_kind", "orientation", "screen_w_px", "screen_h_px", "screen_w_cm", "screen_h_cm"),
    *("cam_to_screen_cm", "gaze_cam_cm", "gaze_vector", "gaze_origin_cm", "dot_index", "is_calib_dot", "weight"),
    *("gaze_screen_cm", "screen_w_pt", "screen_h_pt"),  # for checks
)


@dataclass(frozen=True)
class ScreenFacts:
    """What samples need of each frame beside its labels; NaN where unknown."""

    frame_size: Float[Tensor, "n 2"]  # width, height px
    gaze: Float[Tensor, "n 3"]
    origin: Float[Tensor, "n 3"]  # cm
    distance_cm: Float[Tensor, "n"]


def pack(table: pa.Table, unit: str = CM) -> tuple[ScreenLabels, ScreenFacts]:
    """Labels and facts of checked rows, in their order; `unit` is that of gaze_cam_cm."""
    frame = _pair(table, "frame_w", "frame_h")
    boxes = torch.stack([_list(table, name) for name in _BOXES], dim=1)
    offset, orientation = _list(table, "cam_to_screen_cm"), _integers(table, "orientation", 1)
    screen_cm = _pair(table, "screen_w_cm", "screen_h_cm")
    recording, recordings = _words(table, "recording")
    device, devices = _words(table, "device")
    subject, subjects = _words(table, "subject")
    kind, kinds = _words(table, "device_kind")
    number = torch.tensor([KINDS.index(name) if name in KINDS else -1 for name in kinds] + [-1])
    dot = _integers(table, "dot_index", -1)
    labels = ScreenLabels(
        point=_list(table, "gaze_cam_cm"),
        geometry=(boxes / frame.repeat(1, 2)[:, None]).flatten(1),
        screen_cm=screen_cm,
        screen_px=_pair(table, "screen_w_px", "screen_h_px"),
        # Of a window across which labels run from -1 to 1 the centre is known, whatever its size
        centre=torch.zeros(len(table), 2)
        if unit == HALF_WINDOWS
        else screen_to_camera_plane(screen_cm / 2, screen_cm, offset, orientation),
        orientation=orientation,
        kind=number[kind],
        device=device,
        subject=subject,
        recording=recording,
        fixation=_fixations(recording, dot),
        dot=dot,
        calibration=_integers(table, "is_calib_dot", 0),
        weight=_numbers(table, "weight").nan_to_num(1.0),  # of sampling; a table need not say it
        sample_id=Names(table["sample_id"]),
        devices=devices,
        subjects=subjects,
        recordings=recordings,
        unit=unit,
    )
    origin = _list(table, "gaze_origin_cm")
    distance = _numbers(table, "head_distance_cm")
    distance = torch.where(distance.isnan(), origin[:, 2], distance)
    return labels, ScreenFacts(frame, _list(table, "gaze_vector"), origin, distance)


def one_unit(title: str, units: Iterable[str]) -> str:
    """The unit that all labels are in; cm if there are none.

    Raises:
        DatasetError: there are several, or one that is not known.
    """
    found = sorted(set(units)) or [CM]
    if len(found) > 1 or found[0] not in UNITS:
        raise DatasetError(
            f"labels of {title} are in {' and '.join(found)}; expected one of {', '.join(UNITS)} for all; make a data set of "
            "each"
        )
    return found[0]


def check(table: pa.Table, needs_boxes: list[str]) -> tuple[pa.Table, list[Fault]]:
    """The rows that can be trained on, and one fault for each of the others.

    Args:
        needs_boxes: streams that are to be cut from whole frames.
    """
    bad: dict[int, Fault] = {}
    redo = "prepare the recordings again, or set valid to false there"
    point = _list(table, "gaze_cam_cm").numpy()
    orientation = _integers(table, "orientation", 1).numpy()
    size = np.concatenate([_pair(table, "screen_w_cm", "screen_h_cm").numpy()], axis=1)
    missing = np.asarray(~np.isfinite(point).all(1))
    _note(
        bad,
        table,
        missing,
        lambda i: (f"gaze_cam_cm is ({point[i, 0]:g}, {point[i, 1]:g})", "two finite numbers in cm"),
        redo,
    )
    odd = (orientation < 1) | (orientation > 4)
    _note(bad, table, odd, lambda i: (f"orientation is {orientation[i]}", "1 to 4"), redo)
    flat = np.asarray((size <= 0).any(1))
    _note(
        bad,
        table,
        flat,
        lambda i: (f"its screen is {size[i, 0]:g} x {size[i, 1]:g} cm", "a width and a height above 0"),
        redo,
    )
    for stream in needs_boxes:
        box, frame = _list(table, f"{stream}_box").numpy(), _pair(table, "frame_w", "frame_h").numpy()
        with np.errstate(invalid="ignore"):
            none = ~(np.isfinite(box).all(1) & (box[:, 2:] > 0).all(1) & np.isfinite(frame).all(1))
        found = f"{stream}_box or the frame's size is missing or has no area"
        _note(
            bad, table, np.asarray(none), lambda i, found=found: (found, "(x, y, w, h) px to cut from the frame"), redo
        )
    _note_units(bad, table)
    for doubt, rows in failing(table, {}):  # what preparation marks as invalid, in tables that it didn't write
        if doubt.severe:
            _note(bad, table, rows, lambda i, doubt=doubt: (f"{doubt.name}: {doubt.found}", ""), doubt.do)
    keep = np.ones(len(table), dtype=bool)
    keep[list(bad)] = False
    return (table if keep.all() else table.filter(pa.array(keep))), [bad[i] for i in sorted(bad)]


def _note_units(bad: dict[int, Fault], table: pa.Table) -> None:
    """Labels that don't fit their screens, with the unit in which they would."""
    recordings = words(table, "recording")
    for recording, unit in likely_units(table).items():
        seems, _, do = unit.partition("; ")
        rows = np.asarray(recordings == recording)
        _note(bad, table, rows, lambda i, seems=seems: (f"the labels of the recording seem to be {seems}", ""), do)


def shared_subjects(subject: pa.ChunkedArray, split: pa.ChunkedArray, splits: tuple[str, ...]) -> dict[str, list[str]]:
    """Subjects that are in more than one of some splits, with these splits."""
    pairs = pa.table({"subject": _plain(subject), "split": _plain(split)}).group_by(["subject", "split"]).aggregate([])
    where: dict[str, list[str]] = {}
    for name, part in zip(pairs["subject"].to_pylist(), pairs["split"].to_pylist(), strict=True):
        if part in splits:
            where.setdefault(name, []).append(part)
    return {name: sorted(parts, key=splits.index) for name, parts in sorted(where.items()) if len(parts) > 1}


def _note(
    bad: dict[int, Fault],
    table: pa.Table,
    mask: Bool[np.ndarray, "n"],
    say: Callable[[int], tuple[str, str]],
    do: str,
) -> None:
    for i in np.flatnonzero(mask).tolist():
        found, expected = say(i)
        bad.setdefault(i, Fault(table["sample_id"][i].as_py(), found, expected, do))


def _list(table: pa.Table, name: str) -> Float[Tensor, "n k"]:
    column = table[name].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return torch.from_numpy(values.reshape(len(table), column.type.list_size))


def _numbers(table: pa.Table, name: str) -> Float[Tensor, "n"]:
    return torch.from_numpy(table[name].cast(pa.float32()).fill_null(float("nan")).to_numpy().astype(np.float32))


def _integers(table: pa.Table, name: str, unknown: int) -> Int[Tensor, "n"]:
    return torch.from_numpy(table[name].cast(pa.int64()).fill_null(unknown).to_numpy().astype(np.int64))


def _pair(table: pa.Table, first: str, second: str) -> Float[Tensor, "n 2"]:
    return torch.stack([_numbers(table, first), _numbers(table, second)], dim=-1)


def _words(table: pa.Table, name: str) -> tuple[Int[Tensor, "n"], list[str]]:
    """Numbers into the sorted names; -1 for none."""
    encoded = _plain(table[name]).combine_chunks().dictionary_encode()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names) + 1, dtype=np.int64)
    rank[order] = np.arange(len(names))
    rank[-1] = -1
    return torch.from_numpy(rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]), sorted(names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _fixations(recording: Int[Tensor, "n"], dot: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """One number per (recording, dot), -1 where the dot is unknown."""
    key = torch.where(dot < 0, -1, recording * (int(dot.max().clamp(min=0)) + 1 if len(dot) else 1) + dot)
    known = key >= 0
    fixation = torch.full_like(key, -1)
    fixation[known] = torch.unique(key[known], return_inverse=True)[1]
    return fixation
