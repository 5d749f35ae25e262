"""Image files: their size from the header, their pixels as uint8 RGB, and the resize in front of every model."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as pixels

try:
    import simplejpeg
except ImportError:  # Pillow gives the same pixels, more slowly, and doesn't notice bit errors inside a scan
    simplejpeg = None

MAX_PIXELS = 50_000_000  # 150 MB once decoded; below the size at which Pillow begins to warn
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")  # what data sets hold; every further decoder is a way in
_ORIENTATION = 0x0112  # EXIF tag: how the camera was held
_TURNED = {  # EXIF orientation -> is it transposed, and which axes are then flipped, to show it upright
    2: (False, (-1,)),
    3: (False, (-2, -1)),
    4: (False, (-2,)),
    5: (True, ()),
    6: (True, (-1,)),
    7: (True, (-2, -1)),
    8: (True, (-2,)),
}


class ImageError(ValueError):
    """An image file that can't be used: its path and, in one sentence, why."""

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(path, reason)  # both, so that it survives the way back from a loader worker
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.reason else self.path


def image_size(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, upright: bool = True) -> tuple[int, int]:
    """(height, width) in pixels as `read_image` would give them, from the header alone.

    Raises:
        ImageError: there is no image of at most `max_pixels` there. Damaged pixels are not noticed.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            image = _opened(name, file, max_pixels)
            width, height = image.size
            turned = upright and _TURNED.get(_orientation(image), (False, ()))[0]
            return (width, height) if turned else (height, width)
    except OSError as error:
        raise ImageError(name, _unreadable(error)) from error


def looks_whole(path: str | os.PathLike[str]) -> bool:
    """Whether an image file ends as its format does, from its first and last bytes: a copy that broke off doesn't.

    False says only that a decoder must be asked: trailing bytes after a good picture are no fault.

    Raises:
        ImageError: the file can't be read.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            start, length = file.read(12), file.seek(0, os.SEEK_END)
            file.seek(max(0, length - 64))
            end = file.read()
    except OSError as error:
        raise ImageError(name, _unreadable(error)) from error
    if start.startswith(b"RIFF"):
        return length >= 8 + int.from_bytes(start[4:8], "little")
    if start.startswith(b"BM"):
        return length >= int.from_bytes(start[2:6], "little")
    return (b"IEND" if start.startswith(b"\x89PNG") else b"\xff\xd9") in end


def read_image(
    path: str | os.PathLike[str],
    max_pixels: int = MAX_PIXELS,
    upright: bool = True,
    at_least: tuple[int, int] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """The picture as a person sees it: RGB, upright, transparency over white; 16 bits a channel become 8.

    The tensor is a channels-last view, which resizes twice as fast as a contiguous one. The size is
    checked in the header before anything is decoded. A truncated file is refused, and with simplejpeg
    installed so is a JPEG with any error in its data; nothing is ever filled with grey.

    Args:
        max_pixels: an image of more pixels than this is taken for a decompression bomb.
        upright: turn the picture as its EXIF orientation says. False leaves it as it is stored, which is
            what annotations mean that were made with a library that doesn't turn, such as Pillow.
        at_least: see `decode_image`.

    Raises:
        ImageError: the file is missing, unreadable, damaged, too large, or not a JPEG, PNG, WebP or BMP.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ImageError(name, _unreadable(error)) from error
    return decode_image(name, data, max_pixels, upright, at_least)


def decode_image(
    name: str,
    data: bytes,
    max_pixels: int = MAX_PIXELS,
    upright: bool = True,
    at_least: tuple[int, int] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """The picture in the bytes of an image file, as `read_image` gives it.

    Args:
        name: what the bytes are, for messages.
        at_least: (height, width) that are enough, for pictures that are made smaller anyway. A JPEG is then decoded at
            a half, a quarter or an eighth of its size, which its blocks give almost for free, if that is no smaller.

    Raises:
        ImageError: the bytes are damaged, too large, or not a JPEG, PNG, WebP or BMP.
    """
    jpeg = simplejpeg is not None and data.startswith(b"\xff\xd8")
    stored = jpeg and (not upright or data.find(b"Exif\0", 0, 65536) < 0)  # then there is nothing to ask Pillow for
    image = None if stored else _opened(name, io.BytesIO(data), max_pixels)
    turn = _orientation(image) if upright and image is not None else 1
    if at_least is not None and turn in _TURNED and _TURNED[turn][0]:
        at_least = at_least[::-1]
    array = _decode_jpeg(name, data, max_pixels, at_least) if jpeg else None
    if array is None:
        image = image or _opened(name, io.BytesIO(data), max_pixels)
        if at_least is not None and image.format == "JPEG":
            image.draft("RGB", at_least[::-1])
        array = _decode(name, image)
    return _turned(torch.from_numpy(array).permute(2, 0, 1), turn)


def resize(image: UInt8[Tensor, "3 H W"], size: Sequence[int]) -> UInt8[Tensor, "3 h w"]:
    """The image at (height, width) `size`, bilinear with antialiasing; the aspect is not kept."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    # A crop's rows have gaps; copying the pixels together first is faster than resizing around them (1.3 -> 0.9 ms).
    image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return pixels.resize(image, list(size), interpolation=InterpolationMode.BILINEAR, antialias=True)


def _decode_jpeg(path: str, data: bytes, max_pixels: int, at_least: tuple[int, int] | None = None) -> np.ndarray | None:
    """Height x width x 3, or None for the colours that only Pillow converts well (CMYK)."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        _check_pixels(path, height, width, max_pixels)
        if colours in ("YCbCr", "Gray", "RGB"):
            # Into memory of ours: what it allocates itself comes fresh from the system, at 0.4 ms a megapixel.
            enough = at_least or (height, width)
            factor = next(f for f in (8, 4, 2, 1) if f == 1 or (height >= enough[0] * f and width >= enough[1] * f))
            room = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
            least = room.shape if factor > 1 else (0, 0)  # by its own rule it would also take odd eighths
            return simplejpeg.decode_jpeg(
                data, "RGB", strict=True, min_height=least[0], min_width=least[1], min_factor=2, buffer=room
            )
        simplejpeg.decode_jpeg(data, "CMYK", strict=True)  # for its errors, which Pillow would pass over
        return None
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(path, f"the JPEG is damaged ({error}); restore or remove the file") from error


def _decode(path: str, image: Image.Image) -> np.ndarray:
    try:
        return _rgb(image)
    except Exception as error:  # decoders of damaged files raise nearly every type
        raise ImageError(path, f"the {image.format} is damaged ({error}); restore or remove the file") from error


def _turned(image: Tensor, orientation: int) -> Tensor:
    transposed, flipped = _TURNED.get(orientation, (False, ()))
    image = image.transpose(-2, -1) if transposed else image
    return image.flip(flipped) if flipped else image


def _rgb(image: Image.Image) -> np.ndarray:
    """Decoded, height x width x 3, 8 bits, writable."""
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion would clip them to white
        grey = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _opened(path: str, file: io.BytesIO | io.BufferedReader, max_pixels: int) -> Image.Image:
    """The image with its header read and checked, and nothing decoded."""
    try:
        image = Image.open(file, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(path, f"is refused as a decompression bomb ({error})") from error
    except Exception as error:  # parsers of damaged headers raise nearly every type
        file.seek(0)
        raise ImageError(path, _unrecognised(file.read(64))) from error
    _check_pixels(path, image.height, image.width, max_pixels)
    return image


def _orientation(image: Image.Image) -> int:
    # From the header only: `getexif` would decode a PNG to look for what comes after its pixels.
    if "exif" not in image.info:
        return 1
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block says nothing about the picture; show it as it is stored
        return 1


def _check_pixels(path: str, height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise ImageError(
            path,
            f"its header says {height} x {width} = {height * width} pixels, more than max_pixels={max_pixels}; "
            "shrink or remove the image, or raise the limit",
        )


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder; expected an image file"
    if isinstance(error, PermissionError):
        return "may not be read by this user (permission denied)"
    return f"can't be read ({error.strerror or error})"


def _unrecognised(start: bytes) -> str:
    """Why a file that begins so is not an image."""
    if not start:
        return "the file is empty; restore or remove it"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page saved under an image's name: the download failed; fetch it again"
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM")):
        return "its header is damaged; restore or remove the file"
    return f"is not a JPEG, PNG, WebP or BMP image (it begins with {start[:8]!r}); convert or remove it"
