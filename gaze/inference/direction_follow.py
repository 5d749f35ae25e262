"""The gaze directions of the people in a video over time: each with a number, a window of faces and a filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

from gaze.inference.direction_people import agreements, arrows_of, directions_of, heads_of, notes_of
from gaze.inference.direction_predictor import DirectionPredictor, Directions
from gaze.inference.direction_tables import BOTH, DIRECTIONS
from gaze.inference.directions import joined, split
from gaze.inference.faces import Faces, FaceSource
from gaze.inference.follow import Filters, Predict, ScenePeople, View, batches, persons_of
from gaze.inference.heads import HeadSource
from gaze.inference.one_euro import OneEuro
from gaze.inference.tracks import Track, Tracker
from gaze.inference.video import check_pace, write_video
from gaze.inference.video_file import Frame
from gaze.pictures.scene import Arrow, draw_scene


class Smoothing(NamedTuple):
    """Filters of what is drawn; None: not filtered."""

    target: OneEuro | None = None  # of scenes, in fractions of the picture
    direction: OneEuro | None = None  # of unit vectors


UNFILTERED = Smoothing()


@dataclass(frozen=True, eq=False)
class DirectionView:
    """A frame, and what the last prediction until then says of the people in it."""

    frame: Frame
    predicted: bool  # for this frame, not for one before
    persons: Sequence[int]
    boxes: Float[Tensor, "n 4"]  # fractions
    arrows: Sequence[Arrow | None]
    notes: Sequence[str]
    scene: View | None  # where in the picture the same people look
    record: dict[str, Any]  # of the prediction: frame, time_s, people

    def draw(self) -> UInt8[Tensor, "3 H W"]:
        """The frame with everybody in the colour of their number."""
        scene = self.scene
        inout = None if scene is None or scene.prediction.inout is None else scene.prediction.inout.sigmoid()
        return draw_scene(
            self.frame.picture,
            self.boxes,
            None if scene is None else scene.prediction.heatmap.sigmoid(),
            None if scene is None else scene.points,
            inout=inout,
            persons=self.persons,
            arrows=self.arrows,
            notes=self.notes,
        )


class Clips:
    """The last faces of everybody, from the beginning of their track on.

    A model that reads the last face of a clip gets those until now. One that reads the middle gets as many as came
    before, and the ones after it are missing: nobody waits for what will happen.

    Args:
        window: faces of a clip.
        causal: is it the last one that is read?
        step: frames from one to the next.
    """

    def __init__(self, window: int, causal: bool, step: int) -> None:
        self.window, self.step = window, step
        self.read = window - 1 if causal else window // 2
        self.known: dict[tuple[int, int], dict[int, Tensor]] = {}  # by track, then by frame

    def __call__(
        self, frame: int, tracks: Sequence[Track], alive: Sequence[Track], face: Shaped[Tensor, "n ..."]
    ) -> tuple[Shaped[Tensor, "n t ..."], Bool[Tensor, "n t"]]:
        """The clips of some people whose faces are seen now; the nearest takes the place of a face that is missing.

        Args:
            face: what is kept of each, pictures or vectors.
        """
        frames = [frame + (place - self.read) * self.step for place in range(self.window)]
        clips, present = [], []
        for track, now in zip(tracks, face, strict=True):
            key = (track.person, track.since)
            seen = {number: old for number, old in self.known.get(key, {}).items() if number >= frames[0]}
            seen[frame] = now
            self.known[key] = seen
            nearest = [min(seen, key=lambda other, number=number: (abs(other - number), other)) for number in frames]
            clips.append(torch.stack([seen[number] for number in nearest]))
            present.append(torch.tensor([number in seen for number in frames]))
        kept = {(track.person, track.since) for track in alive}
        self.known = {key: faces for key, faces in self.known.items() if key in kept}
        if not clips:
            return face.new_empty(0, self.window, *face.shape[1:]), torch.ones(0, self.window, dtype=torch.bool)
        return torch.stack(clips), torch.stack(present)


def follow_directions(
    predictor: DirectionPredictor,
    faces: FaceSource,
    heads: HeadSource,
    name: str,
    frames: Iterable[Frame],
    tracker: Tracker,
    smoothing: Smoothing = UNFILTERED,
    every: int = 1,
    batch_size: int = 8,
    scene: Predict | None = None,
) -> Iterator[DirectionView]:
    """A view of each frame, in order; `batch_size` frames are in memory at once. See `gaze.inference.follow.follow`.

    Args:
        scene: says where in the picture the same people look; None: nothing does.
    """
    step = every * ceil(
        predictor.window_step / every
    )  # as in training, or the next longer one of which there are faces
    clips = Clips(predictor.window, predictor.causal, step) if predictor.window > 1 else None
    crowd = _Crowd(smoothing)
    known: DirectionView | None = None
    for waiting in batches(frames, batch_size):
        looks = [_look(frame, faces, heads, name, tracker) for frame in waiting if frame.number % every == 0]
        said = iter(_said(predictor, looks, clips))
        pictures, boxes = [look.frame.picture for look in looks], [look.boxes for look in looks]
        scenes = iter([None] * len(looks) if scene is None else scene(pictures, boxes))
        asked = iter(looks)
        for frame in waiting:
            if frame.number % every == 0:
                known = crowd.view(next(asked), next(said), next(scenes))
                yield known
            else:
                assert known is not None, "the first frame is number 0"
                held = (known.persons, known.boxes, known.arrows, known.notes, known.scene, known.record)
                yield DirectionView(frame, False, *held)


def film_directions(
    predictor: DirectionPredictor,
    faces: FaceSource,
    heads: HeadSource,
    source: Path,
    out: Path,
    about: dict[str, Any],
    every: int = 1,
    batch_size: int = 8,
    tracker: Tracker | None = None,
    smoothing: Smoothing = UNFILTERED,
    tables: Sequence[str] = ("csv",),
    scene: Predict | None = None,
) -> Path:
    """Predict for the frames of a video and return the file of results; see `gaze.inference.video.predict_video`."""

    def views(frames: Iterable[Frame]) -> Iterator[DirectionView]:
        followed = tracker or Tracker()
        return follow_directions(
            predictor, faces, heads, source.name, frames, followed, smoothing, every, batch_size, scene
        )

    check_pace(every, batch_size)
    return write_video(views, source, out, about, DIRECTIONS if scene is None else BOTH, tables)


class _Look(NamedTuple):
    """A frame, and the faces in it, before anything is predicted."""

    frame: Frame
    boxes: Float[Tensor, "n 4"]
    faces: Faces
    tracks: Sequence[Track]
    alive: Sequence[Track]


def _look(frame: Frame, faces: FaceSource, heads: HeadSource, name: str, tracker: Tracker) -> _Look:
    boxes = heads(name, frame.picture, frame.number)
    tracks = tracker(frame.number, boxes, persons_of(heads, name, frame.number))
    alive = list(tracker.tracks)
    found = faces(f"{name}, frame {frame.number}", frame.picture, boxes)
    return _Look(frame, boxes, found, tracks, alive)


def _said(predictor: DirectionPredictor, looks: Sequence[_Look], clips: Clips | None) -> list[Directions]:
    if not looks:
        return []
    faces = joined([look.faces for look in looks])
    seen, present = faces.face[faces.usable], None
    if clips is not None:
        kept = predictor.keep(seen).split([int(look.faces.usable.sum()) for look in looks])
        made = [_clips_of(look, clips, now) for look, now in zip(looks, kept, strict=True)]
        seen, present = (torch.cat(parts) for parts in zip(*made, strict=True))
    return split(predictor(faces, seen, present), [len(look.boxes) for look in looks])


def _clips_of(look: _Look, clips: Clips, kept: Tensor) -> tuple[Tensor, Tensor]:
    usable = [track for track, use in zip(look.tracks, look.faces.usable.tolist(), strict=True) if use]
    return clips(look.frame.number, usable, look.alive, kept)


class _Crowd:
    """What is remembered of everybody from one prediction to the next."""

    def __init__(self, smoothing: Smoothing) -> None:
        self.directions = Filters(smoothing.direction)
        self.scene = ScenePeople(Filters(smoothing.target))

    def view(self, look: _Look, said: Directions, scene: Any) -> DirectionView:
        frame, boxes, tracks = look.frame, look.boxes, look.tracks
        size = (frame.picture.shape[-2], frame.picture.shape[-1])
        calm = self.directions(frame.time, tracks, look.alive, said.gaze)
        calm = None if calm is None else F.normalize(calm, dim=-1)
        sight = said.sight if calm is None else (look.faces.sight.float() @ calm[..., None])[..., 0]
        rows = directions_of(said, calm)
        persons = [track.person for track in tracks]
        arrows = arrows_of(look.faces, sight, said.cone, boxes, size)
        if scene is None:
            who: list[dict[str, Any]] = [
                {"person": person, **head, "direction": row}
                for person, head, row in zip(persons, heads_of(boxes, size), rows, strict=True)
            ]
            return _view(look, persons, arrows, notes_of(sight, said.cone, None), None, who)
        shown = self.scene.view(frame, boxes, scene, tracks, look.alive)
        inout = None if scene.inout is None else scene.inout.sigmoid()
        agreement = agreements(sight, boxes, shown.points, inout, size)
        who = [
            {**person, "direction": row, "agreement_deg": angle}
            for person, row, angle in zip(shown.record["people"], rows, agreement, strict=True)
        ]
        return _view(look, persons, arrows, notes_of(sight, said.cone, agreement), shown, who)


def _view(
    look: _Look,
    persons: Sequence[int],
    arrows: Sequence[Arrow | None],
    notes: Sequence[str],
    scene: View | None,
    who: list[dict[str, Any]],
) -> DirectionView:
    record = {"frame": look.frame.number, "time_s": round(look.frame.time, 4), "people": who}
    return DirectionView(look.frame, True, persons, look.boxes, arrows, notes, scene, record)
