"""Renders synthetic heads by ray casting, with exact labels: what the records of `gaze.types` say, as a picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gaze.head_frames import gaze_axis
from gaze.synthesis.head_anatomy import STYLE, anatomy_of
from gaze.synthesis.head_eyes import see_eye
from gaze.synthesis.head_rays import cast_head_rays
from gaze.synthesis.head_skin import see_surface
from gaze.types import FaceInputs, Record

SAMPLES = 2  # rays of a pixel, across and down
CHUNK_RAYS = 70_000  # cast at once: their planes stay in a core's cache
LEFT_EYE, RIGHT_EYE = 1, 2  # rows of the planes of labels; 0 is the head


@dataclass(frozen=True)
class HeadPictures(Record):
    """Pictures, and what their pixels show for the most part. Left and right are the picture's."""

    image: UInt8[Tensor, "b 3 H W"]
    head_mask: Bool[Tensor, "b H W"]  # with the eyes
    left_eye_mask: Bool[Tensor, "b H W"]
    right_eye_mask: Bool[Tensor, "b H W"]


def render_heads(
    inputs: FaceInputs,
    size: int,
    eye_scale: float = STYLE,
    background: Float[Tensor, "b 2 3"] | None = None,
) -> HeadPictures:
    """Pictures of heads.

    Args:
        inputs: of b heads, float64; codes are as `anatomy_of` reads them.
        size: of the pictures, px; `inputs.camera` is for it.
        eye_scale: see `anatomy_of`.
        background: colours of the upper and the lower edge of the picture, RGB in [0, 1]; white by default.
    """
    count = len(inputs.gaze)
    step = max(1, CHUNK_RAYS // (SAMPLES * size) ** 2)
    spans = [slice(start, start + step) for start in range(0, count, step)]
    parts = [
        _render(
            inputs.map(lambda t, span=span: t[span]), size, eye_scale, None if background is None else background[span]
        )
        for span in spans
    ]
    image, labels = (torch.cat(p) for p in zip(*parts, strict=True))
    head, left, right = (labels >= 0.5).unbind(1)
    return HeadPictures(image, head, left, right)


def _render(
    inputs: FaceInputs, size: int, eye_scale: float, background: Tensor | None
) -> tuple[UInt8[Tensor, "b 3 H W"], Float[Tensor, "b 3 H W"]]:
    side = SAMPLES * size
    anatomy = anatomy_of(inputs.identity, inputs.expression, eye_scale).float32()
    rays = cast_head_rays(inputs, size, side)
    surface = see_surface(anatomy, rays)
    gaze = gaze_axis(inputs.gaze).float()
    colour = surface.colour
    labels = torch.stack([surface.hit, *(torch.zeros_like(surface.hit) for _ in range(2))]).float()
    for row, eye in ((LEFT_EYE, -1), (RIGHT_EYE, 1)):
        sight = see_eye(anatomy, gaze, rays, surface, eye)
        at = (sight.sample, sight.ray)
        colour[:, at[0], at[1]] = sight.colour
        labels[0][at] = labels[row][at] = 1.0
    planes = torch.where(labels[0] > 0, colour, _wall(background, colour, side))
    both = torch.cat([planes, labels]).unflatten(-1, (side, side)).transpose(0, 1)
    pixels = avg_pool2d(both, SAMPLES)
    image = (pixels[:, :3].clamp(0, 1) * 255).round().to(torch.uint8)
    return image, pixels[:, 3:]


def _wall(background: Tensor | None, colour: Tensor, side: int) -> Tensor:
    """What is behind heads, broadcastable to [3 b p]."""
    if background is None:
        return colour.new_ones(1)
    upper, lower = background.to(colour).permute(1, 2, 0)[..., None, None]  # [3 b 1 1] each
    rows = torch.linspace(0, 1, side)[:, None]
    return torch.lerp(upper, lower, rows).expand(-1, -1, -1, side).flatten(2)
