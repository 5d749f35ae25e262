"""Before the first step: does the autoencoder of a renderer keep the gaze of the faces it draws?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gaze.callbacks.callback import Callback
from gaze.perceptual.estimators import Estimator
from gaze.vaes.autoencoder_kl import AutoencoderKL
from gaze.vaes.shift import gaze_shift_on

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class VAEShift(Callback):
    """Says how far reconstruction alone moves the gaze on some validation pictures, and warns if that is far.

    It is logged as ``vae_shift_deg`` with the first training figures, and is the least gaze error that one can hope for
    from latents.

    Args:
        estimator: a finished model of gaze directions.
        samples: validation pictures to look at.
        limit_deg: warn above this mean angle.

    Raises:
        ValueError: a number is out of range, the estimator is of another task; later, the model has no autoencoder.
    """

    def __init__(self, estimator: nn.Module, samples: int = 64, limit_deg: float = 2.0) -> None:
        if samples < 1 or limit_deg <= 0:
            raise ValueError(
                f"callback.vae_shift: samples is {samples}, limit_deg {limit_deg}; expected 1 or more, and above 0"
            )
        self.estimator = Estimator(estimator, whose="callback.vae_shift")
        self.samples, self.limit_deg = samples, limit_deg
        self.found: Tensor | None = None  # until it is logged

    def fit_start(self, trainer: Trainer) -> None:
        vaes = [module for module in trainer.model.modules() if isinstance(module, AutoencoderKL)]
        if not vaes:
            raise ValueError(
                f"callback.vae_shift: {type(trainer.model).__name__} has no autoencoder; leave the callback out, or choose a "
                "renderer that draws with one"
            )
        data = trainer.val_set
        rows = torch.linspace(0, len(data) - 1, min(self.samples, len(data))).round().int().tolist()
        shift = gaze_shift_on(vaes[0], self.estimator, data, rows, trainer.hardware)
        self.found, mean = shift.mean(), float(shift.mean())
        text = f"reconstruction by the vae moves the gaze by {mean:.1f} deg on {len(shift)} pictures"
        if mean <= self.limit_deg:
            logger.info("%s", text)
            return
        logger.warning(
            "%s, above %.1f: latents can't show gaze more finely. Use a vae of a smaller factor (vae.widths with fewer "
            "scales), larger pictures, or none",
            text,
            self.limit_deg,
        )

    def figures(self) -> dict[str, Tensor]:
        found, self.found = self.found, None
        return {} if found is None else {"vae_shift_deg": found}
