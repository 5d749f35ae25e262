"""Predictions on a video: the same video with overlays, and the predictions as numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gaze.errors import UserError
from gaze.inference.heads import HeadSource
from gaze.inference.outbox import Outbox
from gaze.inference.predictor import ScenePredictor, people
from gaze.pictures.samples import draw_prediction
from gaze.types import ScenePrediction

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


class _Frame(NamedTuple):
    """One frame, upright."""

    number: int  # from 0
    pts: int  # in units of `tick` seconds
    tick: Fraction
    picture: Tensor  # uint8 [3 H W]


def is_video(source: Path) -> bool:
    """Does the name end as that of a video?"""
    return source.suffix.lower() in SUFFIXES and not source.is_dir()


def predict_video(
    predictor: ScenePredictor,
    heads: HeadSource,
    source: Path,
    out: Path,
    about: dict[str, Any],
    every: int = 1,
    batch_size: int = 8,
) -> Path:
    """Predict for the frames of a video and return the file of results; `clip.mov` becomes `clip_gaze.mp4` in `out`.

    The new video has all frames at their times, and no sound.

    Args:
        every: frames from one prediction to the next; those between show the last one.
        batch_size: frames in memory, and at most so many in one forward pass.

    Raises:
        UserError: PyAV is missing, the file is no video, or `out` holds a file that is not ours.
        HeadsError: head boxes are missing or do not fit.
    """
    if every < 1 or batch_size < 1:
        raise UserError(f"every={every}, batch_size={batch_size}; expected numbers of frames, 1 or more")
    if not source.exists():
        raise UserError(f"source={source} does not exist; give an image, a folder of images or a video")
    frames = _read(source)
    first = next(frames)  # before anything is written
    name = f"{source.stem}_gaze.mp4"
    outbox = Outbox(out, [name], about)
    records: list[dict[str, Any]] = []
    boxes, prediction = torch.zeros(0, 4), ScenePrediction(torch.zeros(0, 1, 1))
    with _Writer(outbox.path(name), first) as writer:
        for waiting in _batches(chain([first], frames), batch_size):
            asked = [frame for frame in waiting if frame.number % every == 0]
            found = [heads(source.name, frame.picture, frame.number) for frame in asked]
            news = zip(asked, found, predictor([frame.picture for frame in asked], found), strict=True)
            for frame in waiting:
                if frame.number % every == 0:
                    _, boxes, prediction = next(news)
                    records.append(_record(frame, boxes, prediction))
                writer.add(frame, draw_prediction(frame.picture, boxes, prediction))
    height, width = first.picture.shape[-2:]
    return outbox.finish({"video": source.name, "overlay": name, "width": width, "height": height, "frames": records})


def _record(frame: _Frame, boxes: Tensor, prediction: ScenePrediction) -> dict[str, Any]:
    height, width = frame.picture.shape[-2:]
    seconds = round(float(frame.pts * frame.tick), 4)
    return {"frame": frame.number, "time_s": seconds, "people": people(boxes, prediction, (height, width))}


def _batches(frames: Iterable[_Frame], size: int) -> Iterator[list[_Frame]]:
    given = iter(frames)
    while batch := list(islice(given, size)):
        yield batch


class _Writer:
    """Encodes frames to an MP4 that has its name only once it is whole."""

    def __init__(self, path: Path, first: _Frame) -> None:
        av = _av()
        self.path, self.aside = path, path.with_name(f".writing-{path.name}")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self.container = av.open(str(self.aside), "w", format="mp4")
        options = {"crf": "18", "preset": "veryfast"} if codec == "libx264" else {"qscale": "2"}
        self.stream = self.container.add_stream(codec, options=options)
        height, width = first.picture.shape[-2:]
        self.stream.height, self.stream.width = height + height % 2, width + width % 2  # what the pixel format can do
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = first.tick

    def add(self, frame: _Frame, picture: Tensor) -> None:
        """Append a picture, at the time of a frame."""
        height, width = picture.shape[-2:]
        padded = F.pad(picture[None].float(), (0, width % 2, 0, height % 2), mode="replicate")[0].to(torch.uint8)
        new = _av().VideoFrame.from_ndarray(padded.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
        new.pts, new.time_base = frame.pts, frame.tick
        self.container.mux(self.stream.encode(new))

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.container.mux(self.stream.encode(None))
        self.container.close()
        if kind is None:
            os.replace(self.aside, self.path)
        else:
            self.aside.unlink(missing_ok=True)


def _read(source: Path) -> Iterator[_Frame]:
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
                    yield _Frame(number, number, 1 / rate, picture)
                else:
                    yield _Frame(number, frame.pts, frame.time_base, picture)
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
