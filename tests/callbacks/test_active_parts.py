"""What is active is said before training starts."""

from __future__ import annotations

import logging
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra import compose, initialize_config_module

from gaze.avatars.corrections import Corrections
from gaze.callbacks.active_parts import ActiveParts
from gaze.errors import UserError
from gaze.losses.head_regularizers import Orthogonality
from gaze.losses.image import SSIM, RegionL1
from gaze.losses.loss import Loss
from gaze.losses.perceptual import Perceptual
from gaze.losses.redirected_gaze import RedirectedGaze
from gaze.runs import build
from gaze.schedules import Step
from gaze.types import Progress
from tests.perceptual.networks import Pixels
from tests.redirection.some_heads import ColourReader, PaintedHeads


class VGGLike(Pixels):
    title = "VGG Loss"


def trainer(rows=24, terms=None, steps=80, val="val", run="nowhere"):
    model = SimpleNamespace(
        corrections=Corrections(rows, 2, 2),
        facts={"Renderer": "DiT Neural Renderer", "Depth": "6", "VAE": "Enabled (z_channels=4, frozen=True)"},
    )
    return SimpleNamespace(
        model=model,
        run=SimpleNamespace(path=Path(run)),
        train_set=PaintedHeads("train"),
        val_set=PaintedHeads(val),
        objective=SimpleNamespace(terms=terms or {"l1_head": RegionL1()}),
        hardware=SimpleNamespace(main=True),
        progress=Progress(0, steps, 8),
    )


def said(caplog, *given, **named):
    with caplog.at_level(logging.INFO):
        ActiveParts().fit_start(trainer(*given, **named))
    return [record.getMessage() for record in caplog.records]


def test_renderer_and_loss_terms_are_named(caplog):
    terms = {
        "l1_head": RegionL1(),
        "alpha": Loss(0.0),
        "vgg": Perceptual(VGGLike(), weight=Step([5], [0.0, 0.1])),
        "perceptual": Perceptual(Pixels()),
        "ssim": SSIM(),
        "redirected_gaze": RedirectedGaze(ColourReader()),
        "orthogonality": Orthogonality(),
    }
    assert said(caplog, terms=terms) == [
        "[DiT Neural Renderer] Initializing with:",
        "  - Depth: 6",
        "  - VAE: Enabled (z_channels=4, frozen=True)",
        "[Loss Components]",
        "  - L1 Loss (l1_head): weight 1",
        "  - alpha: weight 0",
        "  - VGG Loss (vgg): weight 0, from epoch 5 on it changes, to 0.1 in the end",
        "  - perceptual: weight 0.1",
        "  - SSIM Loss (ssim): weight 0.1",
        "  - Angular Loss (redirected_gaze): weight 0.5",
        "  - Orthogonality Loss (orthogonality): weight 0.01",
        "[Validation] 1 person, none of whom were trained on",
    ]


def test_validation_on_people_who_are_trained_on_is_said(caplog):
    assert said(caplog, val="train")[-1] == "[Validation] 4 people, the same as were trained on"


def test_a_term_whose_schedule_begins_after_the_run_is_refused():
    terms = {"vgg": Loss(Step([5], [0.0, 0.1]))}
    with pytest.raises(
        ValueError,
        match=r"loss.vgg would never act: .* 0 at each of the 32 steps of the 4 epochs.*loss.vgg.weight=NUMBER",
    ):
        ActiveParts().fit_start(trainer(terms=terms, steps=32))
    ActiveParts().fit_start(trainer(terms=terms, steps=48))


def test_a_metric_that_judges_by_a_teacher_is_refused(tmp_path):
    estimator = {"estimator": {"_target_": "gaze.runs.load_model", "run": str(tmp_path / "estimator")}}
    config = {"model": {}, "loss": {"redirected_gaze": estimator}, "metric": {"redirected_gaze": deepcopy(estimator)}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"metric.redirected_gaze.estimator.run=.*was in the loss of.*train another"):
        ActiveParts().fit_start(trainer(run=tmp_path))


def test_too_few_rows_of_corrections_are_refused():
    with pytest.raises(
        ValueError, match=r"rows is 8, but the training split has 24 samples.*set model.corrections.rows=24"
    ):
        ActiveParts().fit_start(trainer(rows=8))


def test_the_small_stack_acts_with_the_angular_loss_as_its_header_has_it():
    words = ["model=gazegaussian_tiny", "init.run=x", "loss=[l1_head,redirected_gaze]", "dir=unused"]
    words.append("loss.redirected_gaze.estimator.run=y")
    for more, acts in (["loss.redirected_gaze.weight=0.1"], True), ([], False):
        with initialize_config_module("gaze.conf"):
            cfg = compose("train", overrides=[*words, *more])
        weight = cfg.loss.redirected_gaze.weight
        terms = {"redirected_gaze": Loss(weight if acts else build(weight))}
        steps = 8 * cfg.trainer.epochs
        if acts:
            ActiveParts().fit_start(trainer(terms=terms, steps=steps))
        else:
            with pytest.raises(ValueError, match=r"loss.redirected_gaze would never act.*4 epochs"):
                ActiveParts().fit_start(trainer(terms=terms, steps=steps))
