"""What a camera makes of a rendered face: white balance, gain, noise, and blur and gamma if asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze.synthesis.draws import Draws
from gaze.types import Record

GRAIN = 512  # px: the noise of a crop is cut from one piece of this size, elsewhere for each crop and channel


@dataclass(frozen=True)
class Exposure(Record):
    """The camera at the moment of each sample."""

    gain: Float[Tensor, "*b 3"]  # brightness and white balance
    noise: Float[Tensor, "*b"]  # deviation; white is 1
    blur: Float[Tensor, "*b"]  # deviation, px of the crop
    gamma: Float[Tensor, "*b"]
    grain: Int[Tensor, "*b k 3 2"]  # px: where the noise of each of k crops is cut, for each channel


def expose(image: Float[Tensor, "b 3 H W"], exposure: Exposure, crop: int) -> UInt8[Tensor, "b 3 H W"]:
    """The picture that a camera would store of crop number `crop` of each sample."""
    gain, noise, gamma = (v.float()[..., None, None] for v in (exposure.gain, exposure.noise, exposure.gamma))
    seen = _blurred((image * gain).clamp_(0, 1), exposure.blur.float())
    if (exposure.gamma != 1).any():
        seen = seen.pow(gamma[:, None])
    height, width = image.shape[-2:]
    for sample, corners in enumerate(exposure.grain[:, crop].tolist()):
        for channel, (x, y) in enumerate(corners):
            grain = _grain()[y : y + height, x : x + width]
            seen[sample, channel].addcmul_(grain, noise[sample])
    return seen.mul_(255).add_(0.5).clamp_(0, 255).byte()


def grain_corners(draws: Draws, crops: int, size: int) -> Int[Tensor, "b k 3 2"]:
    """Somewhere in the grain for crops of up to `size` px."""
    return draws.integers(0, GRAIN - size, crops, 3, 2)


def _blurred(image: Float[Tensor, "b 3 H W"], sigma: Float[Tensor, "b"]) -> Float[Tensor, "b 3 H W"]:
    """Each picture with a Gaussian of its own deviation in px, and its edges continued."""
    radius = int((2.5 * sigma.max()).ceil())
    if radius == 0:
        return image
    place = torch.arange(-radius, radius + 1)
    kernel = (-(place.square() / (2 * sigma[:, None].square().clamp_min(1e-4)))).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    groups = len(kernel)
    flat = torch.nn.functional.pad(image, [radius] * 4, mode="replicate").flatten(0, 1)[None]
    flat = torch.nn.functional.conv2d(flat, kernel[:, None, :, None], groups=groups)
    return torch.nn.functional.conv2d(flat, kernel[:, None, None, :], groups=groups)[0].unflatten(0, (-1, 3))


@lru_cache(maxsize=1)
def _grain() -> Float[Tensor, "h w"]:
    """Noise of unit deviation."""
    return Draws(0, "grain", range(GRAIN)).normal(GRAIN).float()
