"""The frames of every person, from a table of predictions or from a model and its data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gaze.calibration.dots import CalibrationError, Frames, dots_of
from gaze.calibration.looks import Listener, Looks
from gaze.datasets.dataset import Dataset
from gaze.datasets.screen_labels import ScreenLabels
from gaze.hardware import Hardware
from gaze.screens.evaluation import about_screens, observe, table_of
from gaze.screens.table import rows_in
from gaze.seeds import generator

KEPT = 512  # decoded samples of somebody; decoding them for every step would cost more than the step


class Predictions(NamedTuple):
    """All frames of all people: the table of an evaluation, and if there is a model, what it told beside it."""

    table: pa.Table
    features: Float[Tensor, "n f"] | None = None
    calibration: Bool[Tensor, "n"] | None = None  # is the frame of a dot meant for calibration?
    looks: Looks | None = None


class Person(NamedTuple):
    """One person's frames."""

    rows: Int[Tensor, "n"]  # of the table
    frames: Frames
    meant: Bool[Tensor, "n"]  # is it of a dot meant for calibration?


def predict(
    model: nn.Module,
    data: Dataset,
    hardware: Hardware,
    train_labels: ScreenLabels | None = None,
    batch_size: int = 64,
    amp: bool = False,
) -> Predictions:
    """What a model says of a split of a screen data set, and all that calibration methods read.

    Args:
        train_labels: what baselines learn from; None leaves them out.

    Raises:
        CalibrationError: the data set is none of screens.
    """
    if not about_screens(data):
        raise CalibrationError("the data set holds no frames of somebody who looks at a screen; nothing to calibrate")
    with Listener(model) as listener:
        observed = observe(model, data, hardware, batch_size, amp)
    looks = None
    if listener.heard is not None:
        sample = lru_cache(KEPT)(lambda index: data.sample(index, None).inputs)
        looks = Looks(model, listener.heard, torch.arange(len(data)), sample, hardware)
    labels: ScreenLabels = data.labels  # type: ignore[attr-defined]
    table = table_of(observed, labels, train_labels)
    return Predictions(table, observed.features, labels.calibration.bool(), looks)


def people_in(predictions: Predictions, names: Sequence[str] | None = None) -> dict[str, Person]:
    """The people by name. Meant for calibration are all dots of a person of whom none is marked.

    Where some are marked, the person's frames are those in the same hands: of the kinds of device and the
    orientations that the marked dots were shown on. What a model is off by on a phone held upright says little
    of a tablet held sideways, and dots of the one can't tell whether a correction helps on the other.

    Args:
        names: who is asked about; None: all.

    Raises:
        CalibrationError: there are no frames, or nobody of a name.
    """
    table = predictions.table
    if not len(table):
        raise CalibrationError(
            "there are no calibration dots: the predictions have no row; give those of another split"
        )
    rows, features = rows_in(table), predictions.features
    of_person: dict[str, list[int]] = {}
    for row, name in enumerate(table["subject"].to_pylist()):
        of_person.setdefault(name, []).append(row)
    unknown = [name for name in names or () if name not in of_person]
    if unknown:
        some = ", ".join(list(of_person)[:20])
        raise CalibrationError(f"there is nobody called {', '.join(map(repr, unknown))}; the split has {some}")
    held = _situations(table)
    found, elsewhere = {}, 0
    for name in of_person if names is None else names:
        chosen = torch.tensor(of_person[name])
        meant = torch.ones(len(chosen), dtype=torch.bool)
        if predictions.calibration is not None and bool(predictions.calibration[chosen].any()):
            meant = predictions.calibration[chosen]
            same = torch.isin(held[chosen], held[chosen[meant]])
            elsewhere += len(chosen) - int(same.sum())
            chosen, meant = chosen[same], meant[same]
        frames = Frames(
            rows.point[chosen],
            rows.truth[chosen],
            rows.fixation[chosen],
            None if features is None else features[chosen].double(),
            None if predictions.looks is None else predictions.looks.at(chosen),
        )
        found[name] = Person(chosen, frames, meant)
    if elsewhere:
        print(
            f"{elsewhere} of {len(table)} frames are of other devices or orientations than the dots: left as they are"
        )
    return found


def _situations(table: pa.Table) -> Int[Tensor, "n"]:
    """A number for each kind of device and way to hold it."""
    pairs = list(zip(table["kind"].to_pylist(), table["orientation"].to_pylist(), strict=True))
    number = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    return torch.tensor([number[pair] for pair in pairs])


def with_dots(person: Person, dots: int, seed: int) -> Person:
    """The person calibrated by so many of the dots that are meant for it, drawn; all others are held out.

    Raises:
        CalibrationError: there are fewer, or no dot would be left to measure with.
    """
    _, which = dots_of(person.frames)
    meant = which[person.meant].unique()
    if not 1 <= dots <= len(meant) or dots == int(which.max()) + 1:
        raise CalibrationError(
            f"dots={dots} are to calibrate and {len(meant)} of {int(which.max()) + 1} are there for it; at least one "
            f"must be left to measure with: give fewer, or dots=null"
        )
    drawn = meant[torch.randperm(len(meant), generator=generator(seed, len(meant)))[:dots]]
    return person._replace(meant=torch.isin(which, drawn))
