"""Cuts eyes and faces out of frames: the one cropper of preparation, training and prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample

PADDINGS = ("replicate", "black")
LARGEST = 8  # times the frame's longer side; a box beyond that is a mistake that would fill the memory


def crop_box(
    image: UInt8[Tensor, "3 H W"],
    box_px: Sequence[float] | Float[Tensor, "4"],
    size: Sequence[int],
    padding: str = "replicate",
    angle_rad: float = 0.0,
    stretch: float = 1.0,
) -> UInt8[Tensor, "3 h w"]:
    """The part of a frame inside a box, at another size; antialiased.

    The box may leave the frame and need not lie on whole pixels: it is never rounded, because a pixel of an
    eye is a centimetre on the screen. A box on whole pixels gives what slicing and then `resize` gives.

    Args:
        box_px: (x, y, width, height) in pixels of the frame, which is turned first if an angle is given.
        size: (height, width) of the result.
        padding: what is outside the frame: "replicate" repeats its border as GazeCapture's MATLAB code does,
            "black" is black, as in its Python code.
        angle_rad: turns the frame counter-clockwise as displayed, about its centre; a roll of the camera.
        stretch: by how much more the image was widened than it was made taller, before now, where its pixels are not
            square. It turns as the thing does that it shows; the box is in the image's own pixels before and after.

    Raises:
        ValueError: the box has no area or isn't finite, or there is no such padding.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}; expected one of {', '.join(PADDINGS)}")
    x, y, width, height = _checked(box_px, image.shape[-2:])
    left, top = math.floor(x), math.floor(y)
    right, bottom = math.ceil(x + width), math.ceil(y + height)
    edges = (left, top, right, bottom)
    region = _turned_region(image, edges, padding, angle_rad, stretch) if angle_rad else _region(image, edges, padding)
    if (x, y, width, height) == (left, top, size[1], size[0]):
        return region.clone()  # nothing is left to interpolate
    picture = Image.fromarray(region.permute(1, 2, 0).contiguous().numpy())
    inside = (x - left, y - top, min(x - left + width, right - left), min(y - top + height, bottom - top))
    resized = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=inside)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def crop_boxes(
    image: UInt8[Tensor, "3 H W"],
    boxes_px: Float[Tensor, "n 4"],
    size: Sequence[int],
    padding: str = "replicate",
    angle_rad: float = 0.0,
) -> UInt8[Tensor, "n 3 h w"]:
    """The parts of one frame inside several boxes, as by `crop_box`."""
    if not len(boxes_px):
        return image.new_empty(0, 3, *size)
    return torch.stack([crop_box(image, box, size, padding, angle_rad) for box in boxes_px])


def _checked(box_px: Sequence[float] | Tensor, frame: Sequence[int]) -> tuple[float, float, float, float]:
    x, y, width, height = box_px.tolist() if isinstance(box_px, Tensor) else map(float, box_px)
    box = f"the box (x, y, width, height) = ({x:g}, {y:g}, {width:g}, {height:g}) px"
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise ValueError(f"{box} has no area; leave out the sample, or find the face again")
    furthest = max(abs(x), abs(y), abs(x + width), abs(y + height))
    if furthest > LARGEST * max(frame):
        raise ValueError(f"{box} is far outside a frame of {frame[1]} x {frame[0]} px; is it in pixels of this frame?")
    return x, y, width, height


def _region(image: Tensor, edges: tuple[int, int, int, int], padding: str) -> UInt8[Tensor, "3 h w"]:
    """Whole pixels of the frame, and of its padding."""
    left, top, right, bottom = edges
    height, width = image.shape[-2:]
    if left >= 0 and right <= width and top >= 0 and bottom <= height:
        return image[:, top:bottom, left:right]
    rows, columns = np.arange(top, bottom), np.arange(left, right)
    pixels = image.permute(1, 2, 0).numpy()  # whole rows and whole pixels, which copies faster than planes
    nearest = pixels.take(rows.clip(0, height - 1), axis=0).take(columns.clip(0, width - 1), axis=1)
    if padding == "black":
        nearest[(rows < 0) | (rows >= height)] = 0
        nearest[:, (columns < 0) | (columns >= width)] = 0
    return torch.from_numpy(nearest).permute(2, 0, 1)


def _turned_region(
    image: Tensor, edges: tuple[int, int, int, int], padding: str, angle_rad: float, stretch: float
) -> UInt8[Tensor, "3 h w"]:
    """Whole pixels of the turned frame at its own resolution, each from the four around where it came from."""
    left, top, right, bottom = edges
    height, width = image.shape[-2:]
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    x = torch.arange(left, right) + 0.5 - width / 2
    y = (torch.arange(top, bottom) + 0.5 - height / 2)[:, None]
    from_x = cosine * x - stretch * sine * y + width / 2
    from_y = sine / stretch * x + cosine * y + height / 2
    # Only that part of the frame becomes floats.
    x0, x1 = _interval(from_x, width)
    y0, y1 = _interval(from_y, height)
    grid = torch.stack([2 * (from_x - x0) / (x1 - x0) - 1, 2 * (from_y - y0) / (y1 - y0) - 1], -1)
    mode = "border" if padding == "replicate" else "zeros"
    part = image[None, :, y0:y1, x0:x1].float()
    turned = grid_sample(part, grid[None], mode="bilinear", padding_mode=mode, align_corners=False)
    return turned[0].round().to(torch.uint8)


def _interval(positions: Tensor, length: int) -> tuple[int, int]:
    """Whole pixels [start, stop) of the frame around positions, at least one."""
    low, high = math.floor(positions.min().item()) - 1, math.ceil(positions.max().item()) + 1
    return min(max(low, 0), length - 1), max(min(high, length), 1)
