"""Pictures of synthetic data sets as files, the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

QUALITY = 90


def save_jpeg(image: UInt8[Tensor, "3 H W"], path: Path) -> None:
    """Write a picture, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Pillow even where something faster is installed: the bytes shall not depend on that.
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(path, quality=QUALITY)
