"""Latents near those of noise."""

import math

import pytest
import torch

from gaze.losses.kl import LatentKL
from gaze.types import FacePrediction
from tests.losses.some_heads import NOW, batch

IMAGE = torch.zeros(2, 3, 24, 24)


@pytest.mark.parametrize(
    ("mean", "variance", "each"),
    [(0, 1, 0), (2, 1, 2), (0, math.e, (math.e - 2) / 2), (1, 4, (1 + 4 - 1 - math.log(4)) / 2)],
)
def test_known_answers_in_nats_summed_over_a_picture(mean, variance, each):
    shape = (2, 4, 3, 3)
    said = FacePrediction(IMAGE, mean=torch.full(shape, 1.0 * mean), log_variance=torch.full(shape, math.log(variance)))
    assert float(LatentKL()(said, batch(), NOW)) == pytest.approx(36 * each, rel=1e-5, abs=1e-5)


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="loss.kl.*no distribution"):
        LatentKL()(FacePrediction(IMAGE), batch(), NOW)
