"""What a model was shown of one person: methods that change the model itself are fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from gaze.hardware import Hardware
from gaze.types import ScreenInputs, ScreenPrediction, collate

HEAD = "output."  # where names of the output head's tensors begin
CROPS = ("face", "left_eye", "right_eye")


@dataclass(frozen=True)
class Heard:
    """What the output head of a model was given in n frames: all that is needed to run it again without the trunks."""

    fused: Float[Tensor, "n c"]
    inputs: ScreenInputs  # without crops

    def at(self, rows: Tensor) -> Heard:
        """Some of the frames."""
        return Heard(self.fused[rows], self.inputs.map(lambda value: value[rows]))


class Listener:
    """Keeps what the output head is given while a model runs, frame after frame; used in a `with`.

    A model without an output head has nothing to keep, and `heard` is None.
    """

    def __init__(self, model: nn.Module) -> None:
        self._head = getattr(model, "output", None)
        self._parts: list[Heard] = []

    def __enter__(self) -> Listener:
        if isinstance(self._head, nn.Module):
            self._hook = self._head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._head, nn.Module):
            self._hook.remove()

    @property
    def heard(self) -> Heard | None:
        """All frames until now."""
        if not self._parts:
            return None
        joined = {
            f.name: torch.cat([getattr(part.inputs, f.name) for part in self._parts])
            for f in fields(ScreenInputs)
            if getattr(self._parts[0].inputs, f.name) is not None
        }
        return Heard(torch.cat([part.fused for part in self._parts]), ScreenInputs(**joined))

    def _keep(self, head: nn.Module, given: tuple[Any, ...]) -> None:
        fused, inputs = given
        inputs = replace(inputs, **dict.fromkeys(CROPS))
        self._parts.append(Heard(fused.detach().float().cpu(), inputs.map(lambda value: value.detach().cpu())))


@dataclass(frozen=True)
class Looks:
    """n frames of one person as a frozen model sees them."""

    model: nn.Module
    heard: Heard
    index: Int[Tensor, "n"]  # in the data set
    sample: Callable[[int], ScreenInputs]  # of the data set; it remembers some
    hardware: Hardware

    def __len__(self) -> int:
        return len(self.index)

    def at(self, rows: Tensor) -> Looks:
        """Some of the frames."""
        return replace(self, heard=self.heard.at(rows), index=self.index[rows])

    def said(self, tensors: Mapping[str, Tensor]) -> ScreenPrediction:
        """What the model says of all frames with some of its parameters or buffers, by name, replaced by others.

        If these are the output head's alone, trunks and fusion don't run: they would say what they said.
        """
        place = self.hardware.device
        if all(name.startswith(HEAD) for name in tensors):
            inside = {name.removeprefix(HEAD): value for name, value in tensors.items()}
            given = (self.heard.fused.to(place), self.heard.inputs.to(place))
            found = functional_call(self.model.output, inside, given)  # type: ignore[arg-type]
        else:
            shown = collate([self.sample(int(number)) for number in self.index])
            found = functional_call(self.model, dict(tensors), (self.hardware.place(shown),))
        prediction: ScreenPrediction = found
        return prediction.float32()
