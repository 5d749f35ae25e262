"""The people in a video over time: who they are, where they look, and that without tremor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.heatmaps import subcell_peak
from gaze.inference.heads import HeadSource, KnownPersons
from gaze.inference.one_euro import OneEuro, Smoothed
from gaze.inference.predictor import people
from gaze.inference.tracks import Track, Tracker
from gaze.inference.video_file import Frame
from gaze.pictures.scene import draw_scene
from gaze.types import ScenePrediction

# Pictures and the heads in each to what a model says of them, as `ScenePredictor` does.
Predict = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[ScenePrediction]]


@dataclass(frozen=True, eq=False)
class View:
    """A frame, and what the last prediction until then says of the people in it."""

    frame: Frame
    predicted: bool  # for this frame, not for one before
    persons: Sequence[int]
    boxes: Float[Tensor, "n 4"]  # fractions; NaN for whoever is in the picture
    points: Float[Tensor, "n 2"]  # where they look, fractions; filtered if that is asked for
    prediction: ScenePrediction
    record: dict[str, Any]  # of the prediction: frame, time_s, people

    def draw(self) -> UInt8[Tensor, "3 H W"]:
        """The frame with everybody in the colour of their number."""
        inout = self.prediction.inout
        heatmap = self.prediction.heatmap.sigmoid()
        chance = None if inout is None else inout.sigmoid()
        return draw_scene(self.frame.picture, self.boxes, heatmap, self.points, inout=chance, persons=self.persons)


def follow(
    predictor: Predict,
    heads: HeadSource,
    name: str,
    frames: Iterable[Frame],
    tracker: Tracker,
    smooth: OneEuro | None = None,
    every: int = 1,
    batch_size: int = 8,
) -> Iterator[View]:
    """A view of each frame, in order; `batch_size` frames are in memory at once.

    Args:
        name: of the video, for `heads`.
        tracker: links heads to persons, unless `heads` knows who is who. It must not have been used.
        smooth: filters each person's gaze over the times of the frames, from the beginning of each track on.
        every: frames from one prediction to the next.
    """
    people_now = ScenePeople(Filters(smooth))
    known: View | None = None
    for waiting in batches(frames, batch_size):
        asked = [frame for frame in waiting if frame.number % every == 0]
        found = [heads(name, frame.picture, frame.number) for frame in asked]
        predictions = iter(predictor([frame.picture for frame in asked], found))
        boxes = iter(found)
        for frame in waiting:
            if frame.number % every == 0:
                here = next(boxes)
                tracks = tracker(frame.number, here, persons_of(heads, name, frame.number))
                known = people_now.view(frame, here, next(predictions), tracks, tracker.tracks)
                yield known
            else:
                assert known is not None, "the first frame is number 0"
                yield View(frame, False, known.persons, known.boxes, known.points, known.prediction, known.record)


def persons_of(heads: HeadSource, name: str, frame: int) -> list[int] | None:
    """Who the boxes of a frame belong to; None if the source does not know."""
    return heads.persons(name, frame) if isinstance(heads, KnownPersons) else None


class Filters:
    """Filters of everybody, each from the beginning of their track on.

    Args:
        smooth: None: nothing is filtered.
    """

    def __init__(self, smooth: OneEuro | None) -> None:
        self.smooth = smooth
        self.known: dict[tuple[int, int], Smoothed] = {}  # by person and beginning of the track

    def __call__(
        self, time: float, tracks: Sequence[Track], alive: Sequence[Track], raw: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n k"] | None:
        """What the filters make of a sample of each track; NaN, which tells them nothing, stays. None: nothing is filtered.

        Args:
            alive: tracks that may go on, those of this moment and others; the rest is forgotten.
        """
        if self.smooth is None:
            return None
        calm = raw.clone()
        for i, (track, sample) in enumerate(zip(tracks, raw, strict=True)):
            key = (track.person, track.since)
            if sample.isfinite().all():
                self.known[key] = self.smooth(self.known.get(key), time, sample.double())
                calm[i] = self.known[key].value.float()
        kept = {(track.person, track.since) for track in alive}
        self.known = {key: value for key, value in self.known.items() if key in kept}
        return calm


class ScenePeople:
    """What is remembered of everybody from one prediction to the next."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters

    def view(
        self,
        frame: Frame,
        boxes: Float[Tensor, "n 4"],
        prediction: ScenePrediction,
        tracks: Sequence[Track],
        alive: Sequence[Track],
    ) -> View:
        """The frame, with a prediction for it; `tracks` are those of the boxes."""
        raw = subcell_peak(prediction.heatmap) if len(boxes) else torch.zeros(0, 2)
        calm = self.filters(frame.time, tracks, alive, raw)
        height, width = frame.picture.shape[-2:]
        rows: list[dict[str, Any]] = []
        for i, person in enumerate(people(boxes, prediction, (height, width))):
            fractions, pixels = (None, None) if calm is None else _both(calm[i], width, height)
            about = {"gaze_smooth": fractions, "gaze_smooth_px": pixels}
            rows.append({"person": tracks[i].person, **person, **about})
        record = {"frame": frame.number, "time_s": round(frame.time, 4), "people": rows}
        numbers = [track.person for track in tracks]
        return View(frame, True, numbers, boxes, raw if calm is None else calm, prediction, record)


def _both(point: Float[Tensor, "2"], width: int, height: int) -> tuple[list[float], list[float]]:
    x, y = point.tolist()
    return [round(x, 5), round(y, 5)], [round(x * width, 1), round(y * height, 1)]


def batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """The frames, so many at a time."""
    given = iter(frames)
    while batch := list(islice(given, size)):
        yield batch
