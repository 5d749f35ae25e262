"""A head whose eyes, and then whose pose, go round once: a film that can be played in a loop."""

from __future__ import annotations

import logging
from fractions import Fraction
from math import pi
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.hardware import Hardware
from gaze.head_frames import camera_head
from gaze.inference.video_file import Frame, VideoWriter
from gaze.pictures.sheet import fit
from gaze.records import stacked
from gaze.redirection.rendering import render, to_bytes
from gaze.redirection.targets import facing, looking
from gaze.types import FaceInputs

log = logging.getLogger(__name__)


def path(frames: int, reach: Float[Tensor, "2"]) -> Float[Tensor, "frames 2"]:
    """Pitch and yaw along a lying eight, from (0, 0) and back to it, as far as `reach`; smooth where it closes."""
    turn = torch.arange(frames) * (2 * pi / frames)
    return torch.stack([(2 * turn).sin(), turn.sin()], -1) * reach


def sweep(
    inputs: FaceInputs, frames: int, gaze_reach: Float[Tensor, "2"], pose_reach: Float[Tensor, "2"]
) -> FaceInputs:
    """First the eyes go round with the head as it is, then the head about its own pose with the eyes straight ahead.

    Args:
        inputs: a batch of one; a roll of its head is left out, so that nothing jumps where the head begins to turn.
        frames: of each round.
        gaze_reach, pose_reach: most pitch and yaw, radians.
    """
    upright = facing(inputs, camera_head(inputs))
    eyes = looking(upright, path(frames, gaze_reach))
    ahead = looking(inputs, torch.zeros(1, 2))
    head = facing(ahead, camera_head(inputs) + path(frames, pose_reach).to(inputs.pose))
    return stacked([eyes, head])


def film(
    model: nn.Module,
    inputs: FaceInputs,
    hardware: Hardware,
    batch_size: int = 16,
    height: int = 256,
) -> list[UInt8[Tensor, "3 h w"]]:
    """The pictures of a sweep, enlarged."""
    return [fit(picture, height) for picture in to_bytes(render(model, inputs, hardware, batch_size))]


def write_film(pictures: list[UInt8[Tensor, "3 h w"]], folder: Path, name: str, fps: int = 25) -> Path:
    """An MP4, or an animated GIF where PyAV is missing, which is said.

    Returns:
        the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = [Frame(i, i, Fraction(1, fps), picture) for i, picture in enumerate(pictures)]
    file = folder / f"{name}.mp4"
    try:
        with VideoWriter(file, frames[0]) as writer:
            for frame in frames:
                writer.add(frame, frame.picture)
        return file
    except UserError as error:  # PyAV is not installed
        log.warning("%s; a GIF is written instead", error)
    file = folder / f"{name}.gif"
    images = [Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()) for picture in pictures]
    images[0].save(file, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0)
    return file
