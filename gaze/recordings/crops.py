"""The pictures that go into a table: crops, whole frames or only their paths; all upright."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gaze.datasets.crops import PADDINGS, crop_box
from gaze.datasets.image import ImageError, decode_image, resize
from gaze.errors import UserError
from gaze.recordings.margins import LARGEST, outer, stored_side
from gaze.recordings.sample import Picture, ScreenSample
from gaze.recordings.schema import STREAMS

IMAGES = ("crops", "path", "frame")
BLOCK = 8  # px of a JPEG: multiples are decoded at a half, a quarter and an eighth without a rest
EXIF_ORIENTATION = 0x0112
EXIF = "turned_by_exif"  # attribute of frames, degrees counter-clockwise
TURNS = {1: 0, 3: 180, 6: 270, 8: 90}  # EXIF orientation -> degrees counter-clockwise that make the picture upright


@dataclass(frozen=True)
class Pictures:
    """How pictures are kept.

    Args:
        images: crops of face and eyes, the path of what there is, or the whole frame in the table.
        face_size: px, square; what a crop shows of its box. The crop is larger by its margin.
        eye_size: px, square.
        margin: how far crops reach beyond their boxes on each side, as a fraction of the box, so that training can
            move, scale and roll the box within the crop. The default holds what the usual settings do, and is a whole
            number of px of the usual sizes and of their halves, so that a box that isn't moved needs no interpolation.
        quality: of JPEG.
        padding: of crops beyond the frame: replicate or black.
    """

    images: str = "crops"
    face_size: int = 448
    eye_size: int = 128
    margin: float = 0.1875
    quality: int = 95
    padding: str = "replicate"

    def __post_init__(self) -> None:
        for name, allowed in (("images", IMAGES), ("padding", PADDINGS)):
            if getattr(self, name) not in allowed:
                raise UserError(f"{name} is {getattr(self, name)!r}; expected {', '.join(allowed)}")
        if min(self.face_size, self.eye_size) < 8 or not 1 <= self.quality <= 100:
            raise UserError(f"sizes must be 8 px or more and quality 1 to 100; found {asdict(self)}")
        if not 0 <= self.margin <= LARGEST:
            raise UserError(f"margin is {self.margin}; expected a fraction of a box from 0 to {LARGEST:g}")

    def of(self, finished: bool) -> Pictures:
        """How they are kept of a reader that gives finished crops, or frames: only what is cut here has a margin."""
        return self if self.images == "crops" and not finished else replace(self, margin=0.0)

    def facts(self) -> Mapping[str, Any]:
        """What the table is to say of its pictures."""
        return asdict(self)

    def size(self, stream: str) -> int:
        """Of the crops of a stream, px, margin and all."""
        return stored_side(self.face_size if stream == "face" else self.eye_size, self.margin, BLOCK)


class Frame:
    """The whole picture of one sample, read and decoded when it is first asked for."""

    def __init__(self, picture: Picture | None) -> None:
        self.picture = picture
        self._data: bytes | None = None
        self._image: Tensor | None = None

    def data(self) -> bytes | None:
        """As stored."""
        if self._data is None and self.picture is not None:
            self._data = read_bytes(self.picture)
        return self._data

    def image(self) -> UInt8[Tensor, "3 H W"] | None:
        """Upright pixels."""
        data = self.data()
        if self._image is None and data is not None:
            self._image = decode_image(name_of(self.picture), data)
        return self._image

    def header(self) -> tuple[tuple[int, int], int]:
        """Width and height in px once it is upright, and the degrees counter-clockwise that EXIF turns it by.

        Raises:
            ImageError: it is no picture, or EXIF mirrors it, too, which would exchange left and right.
        """
        assert self.picture is not None
        name = name_of(self.picture)
        try:
            with Image.open(io.BytesIO(self.picture) if isinstance(self.picture, bytes) else self.picture) as image:
                told = int(image.getexif().get(EXIF_ORIENTATION, 1)) if "exif" in image.info else 1
                width, height = image.size
        except FileNotFoundError as error:
            raise ImageError(name, "there is no such file") from error
        except Exception as error:  # parsers of damaged headers raise nearly every type
            raise ImageError(name, f"is not a picture ({error}); restore or remove it") from error
        if told in (2, 4, 5, 7):
            raise ImageError(name, "EXIF says that it is mirrored; store it as the camera saw it")
        turned = TURNS.get(told, 0)
        return ((height, width) if turned in (90, 270) else (width, height)), turned


def upright(sample: ScreenSample, frame: Frame) -> ScreenSample:
    """The sample with the size of its frame, and with the turn that EXIF tells.

    Raises:
        ImageError: the picture can't be used, or the sample's boxes are of the picture before EXIF turned it.
    """
    if frame.picture is None:
        return sample
    size, turned = frame.header()
    said = sample.frame_size
    if said is not None and said != size:
        why = f"its boxes are of a frame of {said[0]} x {said[1]} px, and it has {size[0]} x {size[1]}"
        if turned and said == size[::-1]:
            why = f"it is rotated by EXIF: {why} once it is upright"
        raise ImageError(name_of(sample.picture), why)
    attrs = {**sample.attrs, EXIF: str(turned)} if turned else sample.attrs
    return replace(sample, frame_size=size, frame_rotation=turned or sample.frame_rotation, attrs=attrs)


def with_pictures(sample: ScreenSample, frame: Frame, how: Pictures) -> ScreenSample:
    """The sample with its pictures as they are to be stored.

    Raises:
        ImageError: a picture can't be read.
        ValueError: a box can't be cut out.
    """
    if how.images == "path":
        return sample
    if how.images == "frame" and sample.picture is not None:
        image = frame.image()  # decoded in any case, so that no damaged picture gets into the table
        assert image is not None
        kept = frame.data() if frame.header()[1] == 0 else encode(image, how.quality)
        return replace(sample, picture=kept, face=None, left_eye=None, right_eye=None)
    crops: dict[str, Any] = {stream: _crop(sample, stream, frame, how) for stream in STREAMS}
    return replace(sample, picture=None, **crops)


def encode(image: UInt8[Tensor, "3 H W"], quality: int) -> bytes:
    """As JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def read_bytes(picture: Picture) -> bytes:
    """The file.

    Raises:
        ImageError: it can't be read.
    """
    if isinstance(picture, bytes):
        return picture
    try:
        return picture.read_bytes()
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else f"can't be read ({error.strerror})"
        raise ImageError(str(picture), why) from error


def name_of(picture: Picture | None) -> str:
    """For messages."""
    return str(picture) if isinstance(picture, Path) else "the picture"


def _crop(sample: ScreenSample, stream: str, frame: Frame, how: Pictures) -> bytes | None:
    """A crop that exists, made smaller if it is larger; or one that is cut out, if there is a box."""
    there, box = getattr(sample, stream), getattr(sample, f"{stream}_box")
    size = how.size(stream)
    if there is not None:
        if how.margin:
            why = "is a finished crop, which has no margin, among crops that get one; set pictures.margin=0"
            raise ImageError(stream, why)
        data = read_bytes(there)
        crop = decode_image(name_of(there), data)
        height, width = crop.shape[-2:]
        if max(height, width) <= size:
            return data
        scale = size / max(height, width)
        return encode(resize(crop, (max(round(height * scale), 1), max(round(width * scale), 1))), how.quality)
    image = frame.image() if box is not None else None
    if image is None:
        return None
    return encode(crop_box(image, outer(box, how.margin), (size, size), how.padding), how.quality)
