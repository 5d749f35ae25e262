"""Models of gaze directions in files: which way does the person of a face look?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.export import Dim

import gaze
from gaze.calibration.calibrated import fingerprint
from gaze.export import card, direction_card
from gaze.export.direction_card import DirectionCard, faces_in_words, lens_of
from gaze.export.direction_graph import FACE, OUTPUTS, DirectionGraph, named
from gaze.export.facts import ExportError
from gaze.export.format import Format
from gaze.export.licences import licences, research_only
from gaze.export.origin import identity, training_data
from gaze.export.plan import Plan, Wishes
from gaze.export.samples import patches, validation_samples
from gaze.export.verification import Checks, Trial
from gaze.inference.faces import NORMALISED, cut_of_run, face_size_of
from gaze.moe.mixture import Mixture
from gaze.runs import plain_config
from gaze.types import DirectionInputs

COUNTS = (1, 2, 5, 32)  # faces of the trials
PLAIN = Wishes()


class Directions(Plan):
    """The plan for a model of gaze directions.

    Raises:
        ExportError: it can't be done as asked, or the model looks at clips.
        UserError: the run does not say how large faces are.
    """

    formats = ("onnx", "pt2", "torchscript")
    tolerance, unit, anywhere = 1e-4, "in a unit vector, and in parts of the largest value of other outputs", True

    def __init__(self, run: str | Path, model: nn.Module, config: DictConfig, wishes: Wishes, kind: Format) -> None:
        for name, value in wishes._asdict().items():
            if value != getattr(PLAIN, name):
                raise ExportError(
                    f"{name}={value} is not for models of gaze directions, whose files take 8-bit faces of the size that "
                    f"they were trained on and have float32 weights; leave {name} out"
                )
        if getattr(model, "temporal", None) is not None:
            raise ExportError(
                f"the run's {type(model).__name__} looks at clips of a face (temporal); expected a model of single faces: "
                "train one with temporal=null, or predict with the run itself"
            )
        if any(isinstance(part, Mixture) and part.capacity_factor is not None for part in model.modules()):
            raise ExportError(
                "the run's experts have a capacity (moe.capacity_factor), so what is said of a face depends on who else is in "
                "the batch; expected moe.capacity_factor=null: train a run with that"
            )
        self.config, self.kind = plain_config(config), kind
        self.dataset: dict[str, Any] = self.config.get("dataset") or {}
        self.size = face_size_of(self.dataset)
        self.model, self.graph = model, DirectionGraph(model).eval()
        self.own, self.faces = self._faces()
        self.pictures = ["face"]
        self.example = {"face": self.faces[:3]}
        self.dynamic = {"face": {0: Dim("batch")}}
        self.stem = str(self.config.get("name", "model"))
        height, width = self.size
        self.about = (
            f"Gaze direction of a person. face: uint8 RGB [faces, 3, {height}, {width}]; for its meaning see the card"
        )

    def text(self, outputs: dict[str, Tensor], run: str | Path) -> str:
        terms, cut = licences(self.config), cut_of_run(self.dataset)
        return DirectionCard(
            card=card.VERSION,
            kind=direction_card.KIND,
            model=self.stem,
            run=identity(run),
            weights_sha256=fingerprint(run),
            gaze=gaze.__version__,
            weights="float32",
            inputs={"face": {"type": "uint8", "shape": [0, 3, *self.size], "meaning": FACE}},
            outputs={
                name: {"shape": [0, *value.shape[1:]], "meaning": OUTPUTS[name]} for name, value in outputs.items()
            },
            frame=direction_card.FRAME,
            normalisation=direction_card.NORMALISATION,
            faces=faces_in_words(lens_of(self.size[0]) if cut == NORMALISED else None),
            crop={"side": cut.side, "down": cut.down},
            data=training_data(self.dataset),
            licences=[asdict(licence) for licence in terms],
            research_only=research_only(terms),
            notes=list(self.kind.notes),
        ).text()

    def trials(self) -> Iterator[Trial]:
        begin = 0
        for count in COUNTS:
            yield self._trial(self.faces[begin : begin + count])
            begin += count

    def timed(self) -> Iterator[Trial]:
        yield self._trial(self.faces[:1])

    def card(self, text: str, file: Path, checks: Checks) -> str | None:
        parity = {
            "largest_difference": checks.difference,
            "unit": "of unit vectors, and parts of the largest value of other outputs",
            "allowed": checks.tolerance,
            "samples": len(self.faces),
            "of": "the run's validation split" if self.own else "made up",
        }
        return card.sidecar(text, file, {"parity": parity, "latency": [one._asdict() for one in checks.latencies]})

    def _faces(self) -> tuple[bool, UInt8[Tensor, "n 3 h w"]]:
        """Faces to try the file on, and whether they are the run's own."""
        count = sum(COUNTS)
        found = validation_samples(self.dataset, count, "the file is compared with PyTorch on made-up faces")
        if found is None or not len(found.inputs.face):
            made = patches(count, self.size, torch.Generator().manual_seed(0))
            return False, (made * 255).round().to(torch.uint8)
        return True, found.inputs.face[torch.arange(count) % len(found.inputs.face)]

    def _trial(self, faces: UInt8[Tensor, "n 3 h w"]) -> Trial:
        what = f"{len(faces)} face{'s' * (len(faces) > 1)}"
        return Trial(what, {"face": faces}, lambda: self._reference(faces))

    @torch.no_grad()
    def _reference(self, faces: UInt8[Tensor, "n 3 h w"]) -> dict[str, Tensor]:
        """What PyTorch says."""
        return named(self.model(DirectionInputs(faces / 255)))
