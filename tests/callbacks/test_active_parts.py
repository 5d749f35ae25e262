"""What is active is said before training starts."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from gaze.avatars.corrections import Corrections
from gaze.callbacks.active_parts import ActiveParts
from gaze.losses.loss import Loss
from gaze.schedules import Step
from gaze.types import Progress


def trainer(rows: int = 8, samples: int = 8):
    model = SimpleNamespace(
        corrections=Corrections(rows, 2, 2),
        facts={"Renderer": "DiT Neural Renderer", "Depth": "6", "VAE": "Enabled (z_channels=4, frozen=True)"},
    )
    terms = {"l1_head": Loss(1.0), "vgg": Loss(Step([5], [0.0, 0.1]))}
    return SimpleNamespace(
        model=model,
        train_set=range(samples),
        objective=SimpleNamespace(terms=terms),
        hardware=SimpleNamespace(main=True),
        progress=Progress(0, 80, 8),
    )


def test_renderer_and_loss_terms_are_named(caplog):
    with caplog.at_level(logging.INFO):
        ActiveParts().fit_start(trainer())
    assert [record.getMessage() for record in caplog.records] == [
        "[DiT Neural Renderer] Initializing with:",
        "  - Depth: 6",
        "  - VAE: Enabled (z_channels=4, frozen=True)",
        "[Loss Components]",
        "  - l1_head: weight 1",
        "  - vgg: weight 0, from epoch 5 on it changes, to 0.1 in the end",
    ]


def test_too_few_rows_of_corrections_are_refused():
    with pytest.raises(
        ValueError, match=r"rows is 8, but the training split has 9 samples.*set model.corrections.rows=9"
    ):
        ActiveParts().fit_start(trainer(samples=9))
