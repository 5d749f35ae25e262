"""From features to a larger picture, pixel by pixel: layers of one pixel, and a shuffle of channels to pixels.

Inside, channels are the last axis: layers of one pixel are then plain products, on a CPU in half of the time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.code_attention import CodeAttention

SLOPE = 0.2  # of the leaky ReLU
DARK, LIGHT = 0.02, 0.98  # a logit of 0 or 1 is infinite


def exact(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """In float32 at least: pictures are made of sums that bfloat16 would show steps in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def raw_logit(feature: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
    """The logits of the first three features, which are RGB."""
    return torch.logit(exact(feature[:, :3]).clamp(DARK, LIGHT))


class PixelStages(nn.Module):
    """The neural renderer of GazeGaussian (Wei et al., ICCV 2025): stages that double, each adding to a growing picture.

    A stage is a shuffle upsampler, a layer of one pixel and maybe an attention whose answer is added to every pixel.
    Before the first stage and after each, a layer makes RGB of the features, which is added to the picture so far. Where
    pictures are no larger than features there is one stage, which enlarges nothing.

    What an upsampler adds to its shuffled channels is here the input of the same pixel, so that features keep their
    places; the published code's order of channels mixes four of them in each block of pixels.

    Args:
        channels: of the features, the first three RGB.
        ratio: of the pictures' size to the features', a power of two.
        code: numbers of the attention's query; None: no attention.
        from_raw: the picture begins as the RGB of the features, and the layers that add to it as zero.

    Raises:
        ValueError: the ratio is none.
    """

    # FSDP2 gathers them with this module: it reads their weights itself.
    reads_weights_of = ("colours",)

    def __init__(self, channels: int, ratio: int, code: int | None = None, from_raw: bool = False) -> None:
        super().__init__()
        if ratio < 1 or ratio & (ratio - 1) or channels < 3:
            raise ValueError(
                f"pictures {ratio} times as large as features of {channels} channels; expected a power of two, and "
                "three channels or more: set image_size, feature_size and features"
            )
        self.from_raw = from_raw
        count = max(1, ratio.bit_length() - 1)
        self.stages = nn.ModuleList(_Stage(channels, ratio > 1, code) for _ in range(count))
        self.colours = nn.ModuleList(nn.Linear(channels, 3) for _ in range(count + 1))
        if from_raw:
            for parameter in self.colours.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, feature: Float[Tensor, "n c h w"], code: Float[Tensor, "n q"] | None = None
    ) -> Float[Tensor, "n 3 H W"]:
        """RGB in [0, 1]."""
        pixels = rearrange(feature, "n c h w -> n h w c").contiguous()
        picture = _first(self.colours[0](pixels))
        if self.from_raw:
            picture = picture + raw_logit(feature)
        found: Tensor | None = None
        known: Any = zip(self.stages, self.colours[1:], strict=True)
        for stage, colour in known:
            pixels = pixels if found is None else pixels + found[:, None, None]
            pixels, found = stage(pixels, code)
            picture = stage.grown(picture) + _first(colour(pixels))
            if found is not None:  # the layer is linear, so a vector for the picture does instead of one for each pixel
                picture = picture + exact(F.linear(found, colour.weight))[:, :, None, None]
        return picture.sigmoid()


class _Stage(nn.Module):
    def __init__(self, channels: int, double: bool, code: int | None) -> None:
        super().__init__()
        self.upsampler = _Upsampler(channels) if double else None
        self.layer = nn.Linear(channels, channels)
        self.attention = None if code is None else CodeAttention(channels, code)

    def forward(self, pixels: Tensor, code: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The pixels, and what is yet to be added to each of a picture."""
        if self.upsampler is not None:
            pixels = self.upsampler(pixels)
        pixels = F.leaky_relu(self.layer(pixels.flatten(0, 2)), SLOPE, inplace=True).view_as(pixels)
        return pixels, None if self.attention is None else self.attention(pixels, code)

    def grown(self, picture: Tensor) -> Tensor:
        if self.upsampler is None:
            return picture
        with torch.autocast(picture.device.type, enabled=False):
            return _blurred(F.interpolate(picture, scale_factor=2, mode="bilinear"), self.upsampler.kernel)


class _Upsampler(nn.Module):
    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide, self.wider = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, 4 * channels)
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", line[:, None] * line, persistent=False)

    def forward(self, pixels: Float[Tensor, "n h w c"]) -> Float[Tensor, "n h2 w2 c"]:
        flat = pixels.flatten(0, 2)  # in place on what a layer returns, which must not be a view
        made = F.leaky_relu(self.wider(F.leaky_relu(self.wide(flat), SLOPE, inplace=True)), SLOPE, inplace=True)
        four = made.view(*pixels.shape[:3], 4, -1) + pixels[..., None, :]
        large = rearrange(four, "n h w (y x) c -> n (h y) (w x) c", y=2)  # copied with channels last, then renamed
        blurred = _blurred(rearrange(large, "n h w c -> n c h w"), self.kernel)
        return rearrange(blurred, "n c h w -> n h w c")


def _blurred(picture: Float[Tensor, "n c h w"], kernel: Float[Tensor, "3 3"]) -> Float[Tensor, "n c h w"]:
    padded = F.pad(picture, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.to(padded.dtype).expand(picture.shape[1], 1, 3, 3), groups=picture.shape[1])


def _first(colours: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """With channels first, and exact."""
    return exact(rearrange(colours, "n h w c -> n c h w"))
