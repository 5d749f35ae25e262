"""Audits the labels of faces: all checks, a report, and a sheet of arrows for a person to judge by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.audit.checks import check_all
from gaze.audit.evidence import spread_rows
from gaze.audit.reference import Predict, check_axes, check_mirror, look
from gaze.audit.sources import NoPictureError, Source
from gaze.audit.verdicts import FITS, UNKNOWN, WRONG, Verdict
from gaze.datasets.image import ImageError
from gaze.errors import UserError
from gaze.geometry import vector_to_pitch_yaw
from gaze.pictures.canvas import Canvas
from gaze.pictures.directions import GUESS, TRUTH, draw_direction
from gaze.pictures.sheet import fit, sheet

ARROW = 0.42  # of a face's height, in the picture's plane

SHOWN = 3  # faults that a verdict spells out


class Audit(NamedTuple):
    """What was found of one data set."""

    name: str
    samples: int
    verdicts: list[Verdict]
    picture: UInt8[Tensor, "3 H W"] | None  # none of no faces

    @property
    def contradicted(self) -> bool:
        """Is there a check that the labels can't pass?"""
        return any(verdict.status == WRONG for verdict in self.verdicts)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "dataset": self.name,
            "samples": self.samples,
            "contradicted": self.contradicted,
            "checks": [verdict.record() for verdict in self.verdicts],
        }


def audit(
    source: Source, predict: Predict | None = None, most: int = 2000, faces: int = 24, batch_size: int = 64
) -> Audit:
    """All checks of one data set.

    Args:
        predict: a trusted model, for uint8 faces on the CPU; None leaves its checks out.
        most: faces that it is asked about, evenly spaced.
        faces: how many are drawn.
    """
    evidence = source.evidence
    verdicts = [_check_rows(source), *check_all(evidence)]
    shown = [row for row in spread_rows(len(evidence), faces) if evidence.gaze[row].norm() > 0]
    picture = None
    try:
        if predict is not None:
            rows = spread_rows(len(evidence), most)
            seen = look(predict, _batches(source, rows, batch_size))
            verdicts += [check_axes(evidence.gaze[list(rows)], seen.gaze), check_mirror(seen)]
        picture = arrows(source, shown, predict) if shown else None
    except (NoPictureError, ImageError) as error:  # the labels were judged without pictures
        verdicts.append(Verdict("pictures", UNKNOWN, f"none is judged or drawn, as one can't be read: {error}"))
    return Audit(evidence.name, len(evidence), verdicts, picture)


def _check_rows(source: Source) -> Verdict:
    """Can all rows be read?"""
    count = len(source.faults)
    if not count:
        return Verdict("rows", FITS, "all can be read")
    told = "; ".join(map(str, source.faults[:SHOWN])) + ("; ..." if count > SHOWN else "")
    return Verdict("rows", WRONG, f"{count:,} can't be read: {told}", figures={"unread": float(count)})


def arrows(
    source: Source, rows: Sequence[int], predict: Predict | None = None, height: int = 192
) -> UInt8[Tensor, "3 H W"]:
    """A sheet of faces with arrows where the labels say that they look, in yellow, and a model's in blue."""
    drawn, captions = [], []
    for row in rows:
        face = source.face(row)
        seen = None if predict is None else predict(face[None]).gaze[0]
        face = face if face.ndim == 3 else face[len(face) // 2]
        drawn.append(_with_arrows(fit(face, height), source.evidence.gaze[row], seen))
        pitch, yaw = vector_to_pitch_yaw(source.evidence.gaze[row]).tolist()
        captions.append(f"{source.name(row)}  {pitch * 180 / pi:+.0f} {yaw * 180 / pi:+.0f}")
    title = f"{source.evidence.name}: pitch, yaw in degrees; yellow: labels{'; blue: the run' if predict else ''}"
    return sheet(drawn, captions, title)


def _with_arrows(
    picture: UInt8[Tensor, "3 H W"], gaze: Float[Tensor, "3"], seen: Float[Tensor, "3"] | None
) -> UInt8[Tensor, "3 H W"]:
    canvas = Canvas(picture)
    middle, length = (canvas.width / 2, canvas.height / 2), ARROW * canvas.height
    if seen is not None:
        draw_direction(canvas, middle, seen, length, GUESS, width=length / 14)  # wider: seen where both agree
    draw_direction(canvas, middle, gaze, length, TRUTH)
    return canvas.pixels


def _batches(source: Source, rows: Sequence[int], batch_size: int) -> Iterator[Tensor]:
    for start in range(0, len(rows), batch_size):
        faces = [source.face(row) for row in rows[start : start + batch_size]]
        sizes = sorted({tuple(face.shape[-2:]) for face in faces})
        if len(sizes) > 1:
            found = " and ".join(f"{height} x {width}" for height, width in sizes[:2])
            raise UserError(
                f"faces are {found} px; expected one size for the run; give size_px=224, or what it was trained on"
            )
        yield torch.stack(faces)
