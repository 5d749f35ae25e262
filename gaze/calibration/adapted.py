"""A model that was changed for one person: the change, kept as tensors by name, and the model that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gaze.calibration.corrections import Correction
from gaze.calibration.dots import CalibrationError, Dots, Frames
from gaze.calibration.looks import Looks


@dataclass(frozen=True)
class Change(Correction):
    """Parameters and buffers of a model, by name, that are other than in its run."""

    tensors: Mapping[str, Tensor]

    def apply(self, point: Tensor, features: Tensor | None = None) -> Tensor:
        raise CalibrationError(
            f"this calibration changes the model itself ({len(self.tensors)} of its tensors) and not what it says; "
            f"give it together with the run, or a file that was exported with it: calibrated(model, calibration) does it"
        )

    def of(self, seen: Dots | Frames) -> Float[Tensor, "n 2"]:
        assert seen.looks is not None
        with torch.no_grad():
            point = seen.looks.said(self.tensors).point.cpu().double()
        return seen.medians(point) if isinstance(seen, Dots) else point

    def model(self, model: nn.Module) -> nn.Module:
        """A copy of the model with the change.

        Raises:
            CalibrationError: it is another model.
        """
        changed = deepcopy(model)
        there = dict(changed.named_parameters()) | dict(changed.named_buffers())
        for name, value in self.tensors.items():
            if name not in there or there[name].shape != value.shape:
                found = f"one of {tuple(there[name].shape)}" if name in there else "none"
                raise CalibrationError(
                    f"the calibration has {name} of {tuple(value.shape)} and the model has {found}; "
                    f"give the run that it was made with"
                )
            there[name].data.copy_(value)
        return changed


@runtime_checkable
class Adaptation(Protocol):
    """A way to change a model for one person."""

    def trained(self, dots: Dots, weight: Float[Tensor, "k"]) -> dict[str, Tensor]:
        """The tensors that change, by name; a dot of weight 0 has no influence on them.

        Raises:
            CalibrationError: the model has nothing of the kind.
        """


@dataclass(frozen=True)
class Resampled(Correction):
    """The changes of many resamplings of the dots: each is trained when it is asked about, and not kept."""

    adaptation: Adaptation
    dots: Dots
    weight: Float[Tensor, "*r k"]

    def of(self, seen: Dots | Frames) -> Float[Tensor, "*r n 2"]:
        each = [Change(self.adaptation.trained(self.dots, one)).of(seen) for one in self.weight.flatten(0, -2)]
        return torch.stack(each).unflatten(0, self.weight.shape[:-1])


def adapted(adaptation: Adaptation, dots: Dots, weight: Float[Tensor, "*r k"]) -> Correction:
    """The change of one model, or of one for each resampling."""
    if weight.dim() > 1:
        return Resampled(adaptation, dots, weight)
    return Change({name: value.detach().cpu().contiguous() for name, value in adaptation.trained(dots, weight).items()})


def frame_weights(dots: Dots, weight: Float[Tensor, "k"]) -> Float[Tensor, "m"]:
    """The weight of each frame in `dots.looks`: frames of a dot share its weight."""
    assert dots.look_dot is not None
    return (weight / dots.frames)[dots.look_dot]


def looks_of(dots: Dots) -> Looks:
    """What the model was shown of the dots."""
    assert dots.looks is not None
    return dots.looks


def write_change(change: Change, file: Path) -> None:
    """Keep it as a safetensors file."""
    save_file(dict(change.tensors), file)


def read_change(file: Path) -> Change:
    """What `write_change` wrote.

    Raises:
        CalibrationError: the file is missing or damaged.
    """
    if not file.is_file():
        raise CalibrationError(f"{file} does not exist; it belongs to the calibration beside it: keep them together")
    try:
        return Change(load_file(file))
    except SafetensorError as error:
        raise CalibrationError(f"{file} is a damaged calibration: {error}; calibrate again") from error
