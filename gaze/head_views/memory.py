"""Pictures that were read once, in memory that loader workers share."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gaze.head_views.pictures import MASKS, HeadPicture


class PictureMemory:
    """Room for all views of a split; what is in it is never dropped.

    Two workers may read one view at the same time: both write the same bytes.

    Args:
        views: how many.
        size: side of the pictures in px.
        masks: names of those that views have.
    """

    def __init__(self, views: int, size: int, masks: Sequence[str]) -> None:
        self._images = torch.zeros(views, 3, size, size, dtype=torch.uint8).share_memory_()
        self._masks = {name: torch.zeros(views, size, size, dtype=torch.bool).share_memory_() for name in masks}
        self._there = torch.zeros(views, dtype=torch.bool).share_memory_()

    def get(self, index: int) -> HeadPicture | None:
        """The view, if it is there: a copy."""
        if not self._there[index]:
            return None
        masks = {name: kept[index].clone() for name, kept in self._masks.items()}
        eyes = (masks.get(name) for name in MASKS[1:])
        return HeadPicture(self._images[index].clone(), masks["head_mask"], *eyes)

    def put(self, index: int, picture: HeadPicture) -> None:
        """Keep a view."""
        self._images[index] = picture.image
        for name, kept in self._masks.items():
            kept[index] = getattr(picture, name)
        self._there[index] = True
