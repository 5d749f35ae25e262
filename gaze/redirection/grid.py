"""One head with other gazes and other poses, as a sheet that a person can judge at a glance."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.hardware import Hardware
from gaze.head_frames import camera_head
from gaze.pictures.sheet import PAPER, fit, sheet
from gaze.records import stacked
from gaze.redirection.rendering import photographs, render, to_bytes
from gaze.redirection.targets import facing, in_degrees, looking
from gaze.types import Batch, FaceInputs, FaceTargets, collate

Tiles = list[tuple[str, UInt8[Tensor, "3 H W"]]]  # captions and pictures


def tiles(
    model: nn.Module,
    batch: Batch[FaceInputs, FaceTargets],
    gazes: Float[Tensor, "g 2"],
    poses: Float[Tensor, "p 2"],
    hardware: Hardware,
    batch_size: int = 16,
) -> list[Tiles]:
    """Rows of a sheet: the photograph beside the model's own view of it; the gazes; the poses.

    Args:
        batch: of one sample.
        gazes: pitch and yaw in the head, radians.
        poses: pitch and yaw of the head in the camera frame, radians; the eyes stay as they are in it.
    """
    own = batch.inputs
    every = stacked([own, looking(own, gazes), facing(own, poses)])
    made = to_bytes(render(model, every, hardware, batch_size))
    first = [
        (f"original, head {in_degrees(camera_head(own)[0])}", to_bytes(photographs(batch.targets))[0]),
        (f"own view, gaze {in_degrees(own.gaze[0])}", made[0]),
    ]
    turned = [(f"gaze {in_degrees(g)}", made[1 + i]) for i, g in enumerate(gazes)]
    posed = [(f"head {in_degrees(p)}", made[1 + len(gazes) + i]) for i, p in enumerate(poses)]
    return [row for row in (first, turned, posed) if row]


def grid(
    model: nn.Module,
    data: Dataset,
    index: int,
    gazes: Float[Tensor, "g 2"],
    poses: Float[Tensor, "p 2"],
    hardware: Hardware,
    batch_size: int = 16,
    height: int = 256,
    inputs: FaceInputs | None = None,
) -> UInt8[Tensor, "3 _ _"]:
    """The sheet of one sample.

    Args:
        height: of each picture, px.
        inputs: fitted ones of the sample, a batch of one; None: the data set's.
    """
    batch: Batch[FaceInputs, FaceTargets] = collate([data[index]])
    if inputs is not None:
        batch = Batch(inputs, batch.targets, batch.index)
    rows = tiles(model, batch, gazes, poses, hardware, batch_size)
    columns = max(map(len, rows))
    captions, pictures = list[str](), list[Tensor]()
    for row in rows:
        shown = [(caption, fit(picture, height)) for caption, picture in row]
        blank = torch.full_like(shown[0][1], PAPER)
        shown += [("", blank)] * (columns - len(row))
        captions += [caption for caption, _ in shown]
        pictures += [picture for _, picture in shown]
    return sheet(pictures, captions, f"{data.name(index)}: other gazes and head poses", columns)
