"""GazeLLE: a picture is encoded once, and decoded for each head in it."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.types import SceneInputs, ScenePrediction


class GazeLLE(nn.Module):
    """Where does each person look? (Ryan et al., CVPR 2025.)

    Args:
        backbone: RGB images in [0, 1] to features; has `channels`.
        head: makes the decoder, given `channels`: features, head boxes and their images to predictions.
    """

    def __init__(self, backbone: nn.Module, head: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head(channels=backbone.channels)

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        return self.decode(self.encode(inputs.image), inputs.head_bbox, inputs.image_index)

    def encode(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]; the expensive part, once per picture."""
        return self.backbone(image)

    def decode(
        self,
        features: Float[Tensor, "b c h w"],
        head_bbox: Float[Tensor, "n 4"],
        image_index: Int[Tensor, "n"],
    ) -> ScenePrediction:
        """Predictions for n heads, head i in picture `image_index[i]`."""
        return self.head(features, head_bbox, image_index)
