"""How far the latents of an autoencoder are from those of noise."""

from __future__ import annotations

from einops import reduce
from jaxtyping import Float
from torch import Tensor

from gaze.losses.loss import Loss
from gaze.types import Batch, FacePrediction, Progress


class LatentKL(Loss):
    """The divergence of N(mean, variance) from N(0, 1), summed over the latents of a picture, nats; mean over pictures.

    Kingma and Welling, Auto-Encoding Variational Bayes (2014), appendix B.
    """

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        """The mean.

        Raises:
            ValueError: the model encodes nothing.
        """
        mean, log_variance = prediction.mean, prediction.log_variance
        if mean is None or log_variance is None:
            raise ValueError("loss.kl: the model gives no distribution of latents; take the term out, or weight it 0")
        each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return reduce(each, "b z h w -> b", "sum").mean()
