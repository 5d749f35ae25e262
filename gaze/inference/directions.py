"""Gaze directions of the people in photographs, alone or beside where a scene model says that they look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.heatmaps import subcell_peak
from gaze.inference.direction_people import agreements, arrows_of, directions_of, heads_of, no_face, notes_of
from gaze.inference.direction_predictor import DirectionPredictor, Directions
from gaze.inference.faces import Faces, FaceSource
from gaze.inference.follow import Predict
from gaze.inference.heads import HeadSource
from gaze.inference.images import Answer, read_images
from gaze.inference.landmarker import NoFace
from gaze.inference.predictor import people
from gaze.pictures.scene import draw_scene
from gaze.types import ScenePrediction


class Asked(NamedTuple):
    """A picture, and the faces of those who are asked about."""

    picture: UInt8[Tensor, "3 H W"]
    boxes: Float[Tensor, "n 4"]
    faces: Faces


class DirectionReader:
    """Says which way people look, and, with a scene model, where in the picture, and how well both agree."""

    def __init__(
        self, predictor: DirectionPredictor, faces: FaceSource, heads: HeadSource, scene: Predict | None = None
    ) -> None:
        self.predictor, self.faces, self.heads, self.scene = predictor, faces, heads, scene

    def prepare(self, name: str, picture: UInt8[Tensor, "3 H W"]) -> Asked:
        """See `gaze.inference.images.Reader.prepare`; with a scene model, those without a face are asked about too."""
        boxes = self.heads(name, picture)
        faces = self.faces(name, picture, boxes)
        if not faces.usable.any() and (self.scene is None or not len(boxes)):
            raise NoFace(no_face(name))
        return Asked(picture, boxes, faces)

    def answer(self, asked: Sequence[Asked]) -> list[Answer]:
        """See `gaze.inference.images.Reader.answer`."""
        if not asked:
            return []
        said = split(self.predictor.of_faces(joined([one.faces for one in asked])), [len(one.boxes) for one in asked])
        scenes: Sequence[ScenePrediction | None] = [None] * len(asked)
        if self.scene is not None:
            scenes = self.scene([one.picture for one in asked], [one.boxes for one in asked])
        return [_answer(*pair) for pair in zip(asked, said, scenes, strict=True)]


def predict_directions(
    predictor: DirectionPredictor,
    faces: FaceSource,
    heads: HeadSource,
    source: Path,
    out: Path,
    about: dict[str, Any],
    batch_size: int = 8,
    scene: Predict | None = None,
) -> Path:
    """Predict for an image, or for all in a folder and below, and return the file of results; see `read_images`.

    Args:
        faces: cuts faces out of photographs.
        scene: says, beside that, where in the picture the same people look.
    """
    return read_images(DirectionReader(predictor, faces, heads, scene), source, out, about, batch_size)


def joined(faces: Sequence[Faces]) -> Faces:
    """The faces of several pictures, one behind the other."""
    return Faces(**{name: torch.cat([getattr(one, name) for one in faces]) for name in vars(faces[0])})


def split(said: Directions, counts: Sequence[int]) -> list[Directions]:
    """Directions of several pictures, each for itself; `counts` of people."""
    starts = [sum(counts[:i]) for i in range(len(counts))]
    return [
        said.map(lambda t, start=start, count=count: t[start : start + count])  # type: ignore[misc]
        for start, count in zip(starts, counts, strict=True)
    ]


def _answer(asked: Asked, said: Directions, scene: ScenePrediction | None) -> Answer:
    picture, boxes, faces = asked
    size = (picture.shape[-2], picture.shape[-1])
    rows, arrows = directions_of(said), arrows_of(faces, said.sight, said.cone, boxes, size)
    if scene is None:
        who = [{**head, "direction": row} for head, row in zip(heads_of(boxes, size), rows, strict=True)]
        return Answer(draw_scene(picture, boxes, arrows=arrows, notes=notes_of(said.sight, said.cone, None)), who)
    points, inout = subcell_peak(scene.heatmap), None if scene.inout is None else scene.inout.sigmoid()
    agreement = agreements(said.sight, boxes, points, inout, size)
    overlay = draw_scene(
        picture,
        boxes,
        scene.heatmap.sigmoid(),
        points,
        inout=inout,
        arrows=arrows,
        notes=notes_of(said.sight, said.cone, agreement),
    )
    who = [
        {**person, "direction": row, "agreement_deg": angle}
        for person, row, angle in zip(people(boxes, scene, size), rows, agreement, strict=True)
    ]
    return Answer(overlay, who)
