"""The published iTracker (CSAILVision/GazeCapture, pytorch, ccc0f6c), written anew as the peer that we time ourselves against.

It shares the weights of a model of ours, so that its answers can be compared before its speed is. Each eye goes
through the network by itself, responses are normalised by `nn.CrossMapLRN2d`, channel after channel, pictures ask for
gradients that nobody reads, and every step waits for its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.response_norm import ResponseNorm
from gaze.models.screen import ScreenModel
from gaze.types import ScreenInputs


class Streams(NamedTuple):
    """What its loader gives: crops without their mean, and a grid of where the face is."""

    face: Float[Tensor, "b 3 H W"]
    left_eye: Float[Tensor, "b 3 H W"]
    right_eye: Float[Tensor, "b 3 H W"]
    grid: Float[Tensor, "b g"]


class ITrackerReference(nn.Module):
    """The network, of the layers of ours.

    Args:
        model: of conf/model/pog_itracker.
        norm: makes the normalisation of responses. The published one counts the first channel in all sums from the
            fourth on (torch 2.14 forgets to take it out again) and its gradients are wrong, so answers are compared with
            another that takes the same: `nn.LocalResponseNorm`.
    """

    def __init__(self, model: ScreenModel, norm: Callable[..., nn.Module] = nn.CrossMapLRN2d) -> None:
        super().__init__()
        parts: Any = model
        self.eye, self.face = (_published(parts.trunks[name].layers, norm) for name in ("eyes", "face"))
        self.eyes_fc, self.face_fc, self.grid_fc = parts.fusion.eyes, parts.fusion.face, parts.fusion.grid
        self.fc = nn.Sequential(*parts.output.hidden, parts.output.point)

    def forward(
        self, face: Tensor, left_eye: Tensor, right_eye: Tensor, grid: Float[Tensor, "b g"]
    ) -> Float[Tensor, "b 2"]:
        left, right = self.eye(left_eye).flatten(1), self.eye(right_eye).flatten(1)
        eyes = self.eyes_fc(torch.cat([left, right], 1))
        found = [eyes, self.face_fc(self.face(face).flatten(1)), self.grid_fc(grid)]
        return self.fc(torch.cat(found, 1))


def streams(model: ScreenModel, inputs: ScreenInputs) -> Streams:
    """What the peer's loader would have made of these crops. Its right eye is the mirrored one that our shared trunk sees."""
    parts: Any = model
    eye, face, grid = parts.trunks["eyes"], parts.trunks["face"], parts.fusion.face_grid
    assert inputs.left_eye is not None
    assert inputs.right_eye is not None
    return Streams(
        face.white * face.mean(inputs.face),
        eye.white * eye.mean(inputs.left_eye),
        eye.white * eye.mean(inputs.right_eye.flip(-1)),
        grid(inputs.geometry).flatten(1),
    )


def training_step(
    peer: ITrackerReference,
    optimizer: torch.optim.Optimizer,
    given: Streams,
    truth: Float[Tensor, "b 2"],
    amp: bool = False,
    pictures: bool = True,
) -> float:
    """One step; the loss, read back as the published loop does.

    Args:
        pictures: do pictures and grid ask for gradients, as published?
    """
    asked = (tensor.detach().requires_grad_(pictures) for tensor in given)
    with torch.autocast(truth.device.type, torch.bfloat16, enabled=amp):
        output = peer(*asked)
    loss = nn.functional.mse_loss(output.float(), truth)
    said = loss.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return said


def _published(layers: Iterable[nn.Module], norm: Callable[..., nn.Module]) -> nn.Sequential:
    """A tower of ours with its layers in the published order: cut off at zero, pooled, normalised."""
    found: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            found += [layer, nn.ReLU(inplace=True)]
        elif isinstance(layer, nn.MaxPool2d):
            found.append(layer)
        elif isinstance(layer, ResponseNorm):
            found.append(norm(5, alpha=1e-4, beta=0.75, k=1.0))
    return nn.Sequential(*found)
