"""A trained model of gaze directions, and what it says about faces."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor, nn

from gaze.concentration import quantile
from gaze.gaze_frames import mirrored
from gaze.geometry import angular_error
from gaze.hardware import Hardware
from gaze.inference.faces import Faces
from gaze.spreads import on_sphere
from gaze.types import DirectionInputs, DirectionPrediction, Record

SHARE = 0.9  # of all directions that a cone is to hold


@dataclass(frozen=True)
class Directions(Record):
    """Where n people look; NaN for those without a face."""

    gaze: Float[Tensor, "n 3"]  # unit vectors in the camera's frame
    sight: Float[Tensor, "n 3"]  # the same in the frame of the line of sight: (0, 0, -1) looks into the camera
    concentration: Float[Tensor, "n"] | None = None  # kappa of a von Mises-Fisher distribution
    cone: Float[Tensor, "n"] | None = None  # radians between the gaze and the border of a cone that holds `SHARE`
    disagreement: Float[Tensor, "n"] | None = None  # radians between what a face and its mirror image are said to do


class DirectionPredictor:
    """Which way do these faces look?

    Args:
        model: takes `DirectionInputs`.
        face_size: (height, width) of faces in px, as it was trained.
        hardware: where it runs; one process.
        amp: run the model in the hardware's lower number format.
        mirror: ask about the mirror image of each face too, and take the mean. It costs the same again.
        window: faces of the clips it was trained on; a model that knows no time sees single faces all the same.
        window_step: frames from one of them to the next.

    Attributes:
        causal: is it the last face of a clip that it tells the gaze of, not the one in the middle?
    """

    def __init__(
        self,
        model: nn.Module,
        face_size: tuple[int, int],
        hardware: Hardware,
        amp: bool = False,
        mirror: bool = False,
        window: int = 1,
        window_step: int = 1,
    ) -> None:
        temporal = getattr(model, "temporal", None)
        self.window, self.window_step = (1 if temporal is None else window), window_step
        self.causal: bool = temporal is not None and temporal.causal
        self._fuses = self.window > 1 and hasattr(model, "tell")
        self.model: Any = hardware.compiled(model.eval())
        self.lowered = hardware.lowered(model, amp, everything=True)
        self.face_size, self.hardware, self.amp, self.mirror = face_size, hardware, amp, mirror

    def of_faces(self, faces: Faces) -> Directions:
        """Where people look whose faces are seen once."""
        return self(faces, faces.face[faces.usable])

    @torch.no_grad()
    def keep(self, face: UInt8[Tensor, "m 3 h w"]) -> Tensor:
        """What clips are to be made of: the vectors of faces, which then go through their networks once, not in each clip.

        Of a model that can't be asked for these it is the faces themselves.
        """
        if not self._fuses or not len(face):
            return face
        views = [face, face.flip(-1)] if self.mirror else [face]
        with self.hardware.autocast(self.amp), self.lowered:
            fused = [self.model.fuse(self.hardware.place(DirectionInputs(view)).face)[0] for view in views]
        return torch.stack([vector.float().cpu() for vector in fused], 1)

    @torch.no_grad()
    def __call__(
        self, faces: Faces, seen: Shaped[Tensor, "m ..."], present: Bool[Tensor, "m t"] | None = None
    ) -> Directions:
        """Where people look, on the CPU.

        Args:
            seen: of the m usable ones of these faces, one picture each, or a clip, of what `keep` gave, of which the
                model tells one moment.
            present: which pictures of the clips there are.
        """
        usable, count = faces.usable, len(faces.face)
        if not len(seen):
            nobody = torch.full((count, 3), torch.nan)
            return Directions(nobody, nobody.clone())
        said = self._said(seen, present)
        gaze, disagreement = F.normalize(said.gaze, dim=-1), None
        concentration, spread = said.concentration, said.spread
        if self.mirror:
            other = self._said(seen, present, mirrored=True)
            turned = mirrored(F.normalize(other.gaze, dim=-1))
            disagreement, gaze = angular_error(gaze, turned), F.normalize(gaze + turned, dim=-1)
            concentration, spread = _mean(concentration, other.concentration), _mean(spread, other.spread)
        camera = (faces.rotation[usable].mT.float() @ gaze[..., None])[..., 0]
        sight = (faces.sight[usable].float() @ camera[..., None])[..., 0]

        def everybody(value: Tensor | None) -> Tensor | None:
            if value is None:
                return None
            return value.new_full((count, *value.shape[1:]), torch.nan).masked_scatter(_like(usable, value), value)

        values = (camera, sight, concentration, cone(concentration, spread, gaze), disagreement)
        return Directions(*map(everybody, values))  # type: ignore[arg-type]

    def _said(self, seen: Tensor, present: Tensor | None, mirrored: bool = False) -> DirectionPrediction:
        device = self.hardware.device
        with self.hardware.autocast(self.amp), self.lowered:
            if self._fuses and present is not None:
                found: DirectionPrediction = self.model.tell(seen[:, :, int(mirrored)].to(device), present.to(device))
            else:
                found = self.model(self.hardware.place(DirectionInputs(seen.flip(-1) if mirrored else seen, present)))
        kept = DirectionPrediction(found.gaze, found.concentration, found.spread)
        return kept.float32().map(Tensor.cpu)


def cone(
    concentration: Float[Tensor, "n"] | None, spread: Float[Tensor, "n 2"] | None, gaze: Float[Tensor, "n 3"]
) -> Float[Tensor, "n"] | None:
    """Half the opening, radians, of a cone about the gaze that holds `SHARE` of all directions; None if nothing says.

    Of standard deviations of pitch and yaw it is the circle that holds as much of a normal distribution whose two
    deviations are, as angles on the sphere, their root mean square.
    """
    if concentration is not None:
        return quantile(concentration, SHARE)
    if spread is None:
        return None
    deviation = on_sphere(spread, gaze).square().mean(-1).sqrt()
    return (deviation * (-2 * log(1 - SHARE)) ** 0.5).clamp(max=torch.pi)


def _mean(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else (first + second) / 2


def _like(usable: Bool[Tensor, "n"], value: Tensor) -> Bool[Tensor, "n *_"]:
    return usable.reshape(-1, *(1,) * (value.dim() - 1)).expand(-1, *value.shape[1:])
