"""The Inception network whose features published FIDs are of, through torch-fidelity, which has its exact TensorFlow form."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.downloads import fetch
from gaze.errors import UserError
from gaze.perceptual.network import frozen
from gaze.tensor_files import read_tensors

WEIGHTS = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
KEY = "metric.fid.network.weights"


class Inception(nn.Module):
    """2048 features of each picture, which is resized to 299 px as TensorFlow did.

    Args:
        weights: torch-fidelity's weights-inception-2015-12-05-6726825d.pth: a file, or its address.

    Raises:
        UserError: torch-fidelity is not installed, there are no weights, or they can't be had.
        FileNotFoundError, ValueError: the file is missing, damaged, or holds more than tensors.
    """

    features = 2048

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        if weights is None:
            raise UserError(
                f"FID needs the weights of Inception: fetch {WEIGHTS} and set {KEY} to its path, or to this address; or "
                "take metric.fid out"
            )
        try:
            extractors = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
        except ImportError as error:
            raise UserError("FID needs torch-fidelity, which is not installed: pip install 'gaze[fid]'") from error
        path = fetch(weights, KEY, without="")
        read_tensors(path, KEY)  # torch-fidelity would run whatever the file holds
        name = "inception-v3-compat"
        self.network: Any = frozen(extractors.FeatureExtractorInceptionV3(name, [str(self.features)], str(path)))

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 2048"]:
        """The features of pictures in [0, 1], in the 256 steps of a file; NaN for pictures with a NaN in them."""
        broken = image.isnan().flatten(1).any(1)
        pixels = (255 * image).round().nan_to_num(0.0).clamp(0, 255).to(torch.uint8)
        features: Tensor = self.network(pixels)[0]
        return features.masked_fill(broken[:, None], torch.nan)
