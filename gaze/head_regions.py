"""Where in a picture head, face and eyes are, and pictures of one of them on white."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.types import FaceTargets

Region = Literal["head", "face", "eyes"]
WHITE = 1.0
NEAR = 0.06  # of the picture's side: what is so near the eyes may change with them


def region_mask(targets: FaceTargets, region: str) -> Bool[Tensor, "b H W"] | None:
    """The pixels of ``head``, ``face`` (the head without its eyes) or ``eyes`` (left or right, or none in a profile).

    None, for the whole picture, if the data set gives no masks at all, or none of the head.

    Raises:
        ValueError: the data set has masks of the head and none of the eyes, which are asked for.
    """
    head, eyes = targets.head_mask, eyes_mask(targets)
    if region == "head" or (eyes is None and region == "face"):
        return head
    if eyes is None:
        if head is not None:
            raise ValueError(
                "the data set gives a mask of the head and none of the eyes; expected left_eye_mask or right_eye_mask: "
                "write them, or leave the eyes out"
            )
        return None
    if region == "eyes":
        return eyes
    return ~eyes if head is None else head & ~eyes


def eyes_mask(targets: FaceTargets) -> Bool[Tensor, "b H W"] | None:
    """The pixels of either eye; None if the data set has a mask of neither."""
    known = [mask for mask in (targets.left_eye_mask, targets.right_eye_mask) if mask is not None]
    return torch.stack(known).any(0) if known else None


def far_from(eyes: Bool[Tensor, "b H W"]) -> Bool[Tensor, "b H W"]:
    """The pixels that are neither eyes nor near them: another gaze must not change them."""
    reach = max(1, round(NEAR * eyes.shape[-1]))
    near = F.max_pool2d(eyes[:, None].float(), 2 * reach + 1, 1, reach) > 0
    return ~near[:, 0]


def on_white(image: Float[Tensor, "*b 3 H W"], mask: Bool[Tensor, "*b H W"] | None) -> Float[Tensor, "*b 3 H W"]:
    """The picture, white wherever the mask is not; all of it if there is none. Values are in [0, 1]."""
    return image if mask is None else torch.where(mask[..., None, :, :], image, WHITE)


def mean_inside(value: Float[Tensor, "b c H W"], mask: Bool[Tensor, "b H W"] | None) -> Float[Tensor, ""]:
    """The mean over the pixels of the mask, of the whole batch; 0 if it has none."""
    if mask is None:
        return value.mean()
    inside = torch.where(mask[:, None], value, 0.0).sum()
    return inside / (mask.sum() * value.shape[1]).clamp(min=1)
