"""Models of the point of gaze in files: where on the screen does the user look?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.export import Dim

import gaze
from gaze.calibration.calibrated import calibrated, calibration_of, fingerprint
from gaze.calibration.calibration import Calibration
from gaze.datasets.screen_view import STREAMS
from gaze.devices import load_devices, table_hash
from gaze.export import card
from gaze.export.calibrated import correction_module
from gaze.export.facts import ExportError
from gaze.export.format import Format
from gaze.export.int8 import in_eight_bits
from gaze.export.int8_cost import cost
from gaze.export.licences import licences, research_only
from gaze.export.origin import identity, training_data
from gaze.export.plan import Plan, Wishes
from gaze.export.samples import patches
from gaze.export.screen_graph import OUTPUTS, ScreenGraph, named, streams_of, used
from gaze.export.verification import Checks, Trial
from gaze.landmarks.points import DEFAULT
from gaze.runs import plain_config
from gaze.types import ScreenInputs

COUNTS = (1, 2, 5, 32)  # samples of the trials
CHOICES = {"names": ("gaze",), "preprocess": ("inside", "outside"), "weights": ("float32", "int8")}
# Boxes of a face in the middle of the frame and of its eyes: the left one is on the image's right
BOXES = (0.2, 0.2, 0.6, 0.6, 0.55, 0.35, 0.15, 0.15, 0.3, 0.35, 0.15, 0.15)


class Screens(Plan):
    """The plan for a model of the point of gaze.

    Raises:
        ExportError, CalibrationError: it can't be done as asked.
    """

    formats = ("onnx", "pt2", "torchscript", "coreml")
    tolerance, unit, anywhere = 1e-3, "cm", True

    def __init__(self, run: str | Path, model: nn.Module, config: DictConfig, wishes: Wishes, kind: Format) -> None:
        _check(wishes)
        self.run, self.config, self.wishes, self.kind = run, plain_config(config), wishes, kind
        self.calibration = _calibration(wishes.calibration, run)
        model, self.after = calibrated(model, self.calibration)
        self.whole, self.inside = model, wishes.preprocess == "inside"
        eight = wishes.weights == "int8" and not kind.quantises
        self.model = in_eight_bits(model, keep=getattr(model, "output", None)) if eight else model
        self.graph = ScreenGraph(self.model, self.inside, correction_module(self.after)).eval()
        dataset = self.config.get("dataset") or {}
        self.streams = streams_of(used(model, look(dataset, 2)), self.inside)
        self.pictures = [name for name in STREAMS if name in self.streams] if self.inside else []
        self.example = self._packed(look(dataset, 3))
        batch = Dim("batch")
        self.dynamic = {name: {0: batch} for name in self.example}
        self.landmarks = list(dataset.get("landmarks") or DEFAULT) if "landmarks" in self.streams else None
        self.stem = "_".join([str(self.config.get("name", "model")), *self._variant()])
        self.about = f"Point of gaze on a screen. Inputs: {', '.join(self.streams)}; for their meaning see the card"

    def _variant(self) -> list[str]:
        """What tells this file from others of the same run."""
        return [
            *(["int8"] if self.wishes.weights == "int8" else []),
            *([] if self.inside else ["floats"]),
            *(["calibrated"] if self.calibration is not None else []),
        ]

    def text(self, outputs: dict[str, Tensor], run: str | Path) -> str:
        terms = licences(self.config)
        return card.Card(
            card=card.VERSION,
            kind=card.KIND,
            model=str(self.config.get("name", "model")),
            run=identity(run),
            weights_sha256=fingerprint(run),
            gaze=gaze.__version__,
            weights="float16" if self.kind.quantises and self.wishes.weights == "float32" else self.wishes.weights,
            inputs={
                name: {"type": stream.type, "shape": [0, *stream.shape], "meaning": stream.meaning}
                for name, stream in self.streams.items()
            },
            outputs={
                name: {"shape": [0, *value.shape[1:]], "meaning": OUTPUTS[name]} for name, value in outputs.items()
            },
            preprocess=self.wishes.preprocess,
            normalisation=_normalisation(self.inside),
            landmarks=self.landmarks,
            eyes=card.EYES,
            crops=card.BOXES,
            rotation=card.ROTATION,
            target=card.TARGET,
            devices_sha256=table_hash(load_devices()),
            data=training_data(self.config.get("dataset") or {}),
            licences=[asdict(licence) for licence in terms],
            research_only=research_only(terms),
            calibration=_summary(self.calibration),
            notes=list(self.kind.notes),
        ).text()

    def trials(self) -> Iterator[Trial]:
        for seed, samples in enumerate(COUNTS):
            yield self._trial(samples, seed)

    def timed(self) -> Iterator[Trial]:
        yield self._trial(1, 0)

    def measured(self) -> dict[str, float]:
        if self.model is self.whole:
            return {}
        dataset = self.config.get("dataset") or {}
        return cost(self.whole, self.model, dataset, look(dataset, COUNTS[-1], seed=len(COUNTS)))

    def card(self, text: str, file: Path, checks: Checks) -> str | None:
        parity = {
            "largest_difference": checks.difference,
            "unit": "cm of points, and parts of the largest value of other outputs",
            "allowed": checks.tolerance,
            "samples": sum(COUNTS) if checks.difference is not None else 0,
            **checks.measured,
        }
        latency = [dict(what.items()) for what in (one._asdict() for one in checks.latencies)]
        return card.sidecar(text, file, {"parity": parity, "latency": latency})

    def _trial(self, samples: int, seed: int) -> Trial:
        asked = look(self.config.get("dataset") or {}, samples, seed)
        return Trial(f"{samples} sample{'s' * (samples > 1)}", self._packed(asked), lambda: self._reference(asked))

    @torch.no_grad()
    def _reference(self, asked: ScreenInputs) -> dict[str, Tensor]:
        """What PyTorch says, calibrated in float64 as by `gaze.calibration`."""
        found = self.model(asked)
        point = found.point if self.after is None else self.after.apply(found.point, found.features)
        return named(found, point)

    def _packed(self, asked: ScreenInputs) -> dict[str, Tensor]:
        return packed(asked, list(self.streams), self.inside)


def packed(asked: ScreenInputs, names: Sequence[str], inside: bool) -> dict[str, Tensor]:
    """The inputs of a file, of a batch whose pictures are floats in [0, 1] that were 8-bit."""
    found = {name: getattr(asked, name) for name in names}
    for name in STREAMS:
        if inside and name in found:
            found[name] = (found[name] * 255).round().to(torch.uint8)
    return found


def look(dataset: Mapping[str, Any], samples: int, seed: int = 0) -> ScreenInputs:
    """Made-up samples of the streams that a data set gives, as floats in [0, 1]: patches of colour with noise.

    The last of several lacks boxes and landmarks (NaN) and says nothing of its motion.

    Args:
        dataset: plain config of it.

    Raises:
        ExportError: it does not say what its samples hold.
    """
    streams = dataset.get("streams")
    if not streams:
        raise ExportError(
            "the run's config has no dataset.streams, so what its model takes is not known; train it again"
        )
    rng = torch.Generator().manual_seed(seed)
    sizes = dict.fromkeys(STREAMS[1:], dataset.get("eye_size", 0)) | {"face": dataset.get("face_size", 0)}
    found: dict[str, Tensor] = {name: patches(samples, sizes[name], rng) for name in STREAMS if name in streams}
    unknown = torch.zeros(samples, 1)
    unknown[-1:] = torch.nan if samples > 1 else 0
    if "geometry" in streams:
        found["geometry"] = torch.tensor(BOXES) + 0.05 * torch.rand(samples, 12, generator=rng) + unknown
    if "landmarks" in streams:
        count = len(dataset.get("landmarks") or DEFAULT)
        found["landmarks"] = torch.rand(samples, count, 2, generator=rng) + unknown[..., None]
    if "imu" in streams:
        valid = (~unknown[:, 0].isnan()).float()
        found["imu"] = torch.randn(samples, 9, generator=rng) * valid[:, None]
        found["imu_valid"] = valid
    if "orientation" in streams:
        found["orientation"] = torch.randint(1, 5, (samples,), generator=rng)
    return ScreenInputs(**found)


def _check(wishes: Wishes) -> None:
    for name, allowed in CHOICES.items():
        value = getattr(wishes, name)
        if value not in allowed:
            raise ExportError(f"{name}={value} is not for models of the point of gaze; expected {' or '.join(allowed)}")
    if wishes.size is not None:
        raise ExportError(
            f"size={wishes.size} is for scene models; a model of the point of gaze takes crops as it was trained on, so "
            "leave size out"
        )


def _calibration(file: str | None, run: str | Path) -> Calibration | None:
    return None if file is None else calibration_of(file, fingerprint(run))


def _summary(calibration: Calibration | None) -> dict[str, Any] | None:
    """Of the person's correction, what a reader can understand; the file itself holds it."""
    if calibration is None:
        return None
    said = {name: getattr(calibration, name) for name in ("method", "dots", "frames", "matrix", "offset_cm")}
    return said | {"subject": calibration.about.get("subject", "")}


def _normalisation(inside: bool) -> str:
    scale = (
        "values from 0 to 255; the division by 255" if inside else "values from 0 to 1, 8-bit values divided by 255;"
    )
    return (
        f"RGB, {scale} {'and ' if inside else ''}the mean and spread that each trunk was trained with are in the file"
    )
