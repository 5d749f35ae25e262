"""A model of gaze directions behind named inputs and outputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from jaxtyping import UInt8
from torch import Tensor, nn

from gaze.heads.direction import unit
from gaze.moe.mixture import Mixture
from gaze.types import DirectionInputs, DirectionPrediction

FACE = "RGB picture of one face, values from 0 to 255"
OUTPUTS = {
    "gaze": "unit vector of gaze, see frame",
    "concentration": "kappa of a von Mises-Fisher distribution about gaze: mean angle about sqrt(pi / (2 kappa)) radians",
    "spread": "radians, of pitch and of yaw: how far the truth is from gaze",
}


class DirectionGraph(nn.Module):
    """The model of single faces, which come with 8 bits. Dividing them makes floats of them by itself.

    Mixtures ask all their experts about every token, which says the same and takes any number of tokens.

    Args:
        model: takes `DirectionInputs`; it is copied.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in self.model.modules():
            if isinstance(module, Mixture):
                module.backend = "dense"

    def forward(self, face: UInt8[Tensor, "b 3 H W"]) -> dict[str, Tensor]:
        return named(self.model(DirectionInputs(face / 255)))


def named(found: DirectionPrediction) -> dict[str, Tensor]:
    """A prediction as a file gives it: by name, of unit length, and how sure the head is if it says so."""
    outputs = {"gaze": unit(found.gaze), "concentration": found.concentration, "spread": found.spread}
    return {name: value for name, value in outputs.items() if value is not None}


def direction(outputs: Mapping[str, Tensor]) -> DirectionPrediction:
    """The prediction that a file gave."""
    return DirectionPrediction(**{name: outputs[name] for name in OUTPUTS if name in outputs})
