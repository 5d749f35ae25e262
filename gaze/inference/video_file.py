"""Frames of video files, read and written with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from gaze.errors import UserError


class Frame(NamedTuple):
    """One frame, upright."""

    number: int  # from 0
    pts: int  # in units of `tick` seconds
    tick: Fraction
    picture: UInt8[Tensor, "3 H W"]

    @property
    def time(self) -> float:
        """Seconds."""
        return float(self.pts * self.tick)


class VideoWriter:
    """Encodes frames to an MP4.

    Args:
        path: of the file; its ending does not matter.
        first: a frame of the size that all will have.
    """

    def __init__(self, path: Path, first: Frame) -> None:
        av = _av()
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self.container = av.open(str(path), "w", format="mp4")
        options = {"crf": "18", "preset": "veryfast"} if codec == "libx264" else {"qscale": "2"}
        self.stream = self.container.add_stream(codec, options=options)
        height, width = first.picture.shape[-2:]
        self.stream.height, self.stream.width = height + height % 2, width + width % 2  # what the pixel format can do
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = first.tick

    def add(self, frame: Frame, picture: Tensor) -> None:
        """Append a picture, at the time of a frame."""
        height, width = picture.shape[-2:]
        padded = F.pad(picture[None].float(), (0, width % 2, 0, height % 2), mode="replicate")[0].to(torch.uint8)
        new = _av().VideoFrame.from_ndarray(padded.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
        new.pts, new.time_base = frame.pts, frame.tick
        self.container.mux(self.stream.encode(new))

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.container.mux(self.stream.encode(None))
        finally:
            self.container.close()


def read_frames(source: Path) -> Iterator[Frame]:
    """The frames of a video, one in memory at a time.

    Raises:
        UserError: PyAV is missing, the file is no video, it ends in the middle of one, or nothing in it can be decoded.
    """
    av = _av()
    number = -1
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise UserError(f"{source} has no pictures in it; expected a video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = stream.average_rate or Fraction(25)
            for number, frame in enumerate(container.decode(stream)):
                picture = torch.from_numpy(frame.to_ndarray(format="rgb24"))
                # A phone held upright stores lying frames, and by how much a player has to turn them.
                picture = picture.rot90(round(frame.rotation / 90) % 4).permute(2, 0, 1)
                if frame.pts is None:
                    yield Frame(number, number, 1 / rate, picture)
                else:
                    yield Frame(number, frame.pts, frame.time_base, picture)
    except av.FFmpegError as error:
        at = f" after frame {number}" if number >= 0 else ""
        raise UserError(f"{source} can't be read as a video{at} ({error}); convert or replace it") from error
    if number < 0:
        raise UserError(f"{source} holds no frame that can be decoded; convert or replace it")


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError(
            "videos need PyAV, which is not installed: pip install 'gaze[video]', or give a folder of frames"
        ) from error
    return av
