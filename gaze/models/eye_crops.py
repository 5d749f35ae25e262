"""Eyes cut out of the face inside the model, so that one picture and the boxes are all it needs."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import roi_align


class EyeCrops(nn.Module):
    """Both eyes from the face's own pixels, by aligned region pooling (arXiv 2107.01980).

    An eye whose box is not known (NaN), or the face's, becomes a crop of a single colour.

    Args:
        size: of a crop, px along each side.
        samples: bilinear samples for each pixel, along each side.
    """

    def __init__(self, size: int = 128, samples: int = 2) -> None:
        super().__init__()
        self.size, self.samples = size, samples

    def forward(
        self, face: Float[Tensor, "b 3 H W"], geometry: Float[Tensor, "b 12"]
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 h w"]]:
        """The crops of the left eye and of the right, of float images."""
        return self._cut(face, geometry, geometry[:, 4:8]), self._cut(face, geometry, geometry[:, 8:12])

    def _cut(
        self, face: Float[Tensor, "b 3 H W"], geometry: Float[Tensor, "b 12"], eye: Float[Tensor, "b 4"]
    ) -> Float[Tensor, "b 3 h w"]:
        height, width = face.shape[-2:]
        across, down = geometry[:, 2:3] / width, geometry[:, 3:4] / height  # of the frame, for a pixel of the face
        x, y = (eye[:, :1] - geometry[:, :1]) / across, (eye[:, 1:2] - geometry[:, 1:2]) / down
        boxes = torch.cat([x, y, x + eye[:, 2:3] / across, y + eye[:, 3:4] / down], 1)
        boxes = boxes.masked_fill(~boxes.isfinite(), 0.0)
        row = torch.ones_like(boxes[:, :1]).cumsum(0) - 1  # a range would bake this device into an exported graph
        return roi_align(face, torch.cat([row, boxes], 1), self.size, 1.0, self.samples, aligned=True)
