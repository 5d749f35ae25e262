"""An exported file as a model like any other."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.export import direction_card
from gaze.export.card import KIND, Card, check_sidecar, parsed
from gaze.export.direction_card import DirectionCard
from gaze.export.direction_graph import direction
from gaze.export.facts import ExportError, Facts
from gaze.export.format import Call
from gaze.export.formats import SUFFIXES
from gaze.export.naming import NAMINGS
from gaze.export.screen_graph import prediction
from gaze.export.screens import packed
from gaze.types import (
    DirectionInputs,
    DirectionPrediction,
    SceneInputs,
    ScenePrediction,
    ScreenInputs,
    ScreenPrediction,
)

Said = Facts | Card | DirectionCard  # what a file says about itself


def is_exported(path: Path) -> bool:
    """Does the name end as that of an exported file?"""
    return path.suffix in SUFFIXES and (path.suffix == ".mlpackage" or not path.is_dir())


def open_exported(path: Path, trust: bool = False) -> ExportedScenes | ExportedScreens | ExportedDirections:
    """A file that `gaze.export.exporter.export` wrote, as a model. It runs on the CPU, wherever its inputs are.

    Args:
        path: the file.
        trust: open kinds of file that can hold code, which runs when they are opened.

    Raises:
        ExportError: the file does not exist, is not ours, is damaged, lacks its card, or must be trusted first.
    """
    if not path.exists():
        raise ExportError(f"{path} does not exist; give a run directory, or a file that tools/export.py wrote")
    kind = SUFFIXES[path.suffix]
    if not (kind.safe or trust):
        raise ExportError(
            f"{path} is of a kind that can hold code, which would run when it is opened; "
            "say trust=true if you made it or know who did, or export to ONNX"
        )
    call, text = kind.open(path)
    facts = read_facts(text, path)
    if isinstance(facts, Facts):
        return ExportedScenes(call, facts, path)
    check_sidecar(path, text)
    return ExportedScreens(call, facts) if isinstance(facts, Card) else ExportedDirections(call, facts)


def read_facts(text: str | None, path: Path) -> Said:
    """What a file says about itself; `text` is what it holds.

    Raises:
        ExportError: nothing of this version.
    """
    cards: dict[str, type[Card] | type[DirectionCard]] = {KIND: Card, direction_card.KIND: DirectionCard}
    kind = cards.get(parsed(text).get("kind", ""))
    return Facts.read(text, path) if kind is None else kind.read(text, path)


class ExportedScenes(nn.Module):
    """A scene model in a file.

    Args:
        call: runs the file. Not a submodule: it stays on the CPU.
        facts: what it says about itself.
        path: of the file, for messages.

    Raises:
        ExportError: its inputs have names that this version does not know.
    """

    def __init__(self, call: Call, facts: Facts, path: Path) -> None:
        super().__init__()
        self.call, self.facts = call, facts
        if facts.names not in NAMINGS:
            raise ExportError(f"{path} names its inputs after {facts.names!r}; expected {' or '.join(NAMINGS)}")
        self.naming = NAMINGS[facts.names]

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        """Predictions for images in [0, 1] of `facts.image_size`, on the CPU.

        The logits are those of the file's probabilities: where one is so close to 1 that float32 can't tell, they end
        at about 16.6.
        """
        image = (inputs.image * 255).round().to(torch.uint8)  # exactly what it was before it was divided
        scene = SceneInputs(image, inputs.head_bbox, inputs.image_index).to("cpu")
        named, rows = self.naming.pack(scene)
        found = {name: output[rows] for name, output in self.call(named).items()}
        inout = found.get("inout")
        return ScenePrediction(_logit(found["heatmap"]), None if inout is None else _logit(inout))


class ExportedScreens(nn.Module):
    """A model of the point of gaze in a file; see `ExportedScenes`."""

    def __init__(self, call: Call, facts: Card) -> None:
        super().__init__()
        self.call, self.facts = call, facts

    def forward(self, inputs: ScreenInputs) -> ScreenPrediction:
        """Predictions for crops in [0, 1] of the card's sizes, on the CPU. Streams that the file does not take are ignored.

        Raises:
            ExportError: a stream that the file takes is missing.
        """
        missing = [name for name in self.facts.inputs if getattr(inputs, name) is None]
        if missing:
            raise ExportError(
                f"the file takes {', '.join(missing)}, which the samples do not hold; add it to the streams"
            )
        return prediction(
            self.call(packed(inputs.to("cpu"), list(self.facts.inputs), self.facts.preprocess == "inside"))
        )


class ExportedDirections(nn.Module):
    """A model of gaze directions in a file; see `ExportedScenes`."""

    def __init__(self, call: Call, facts: DirectionCard) -> None:
        super().__init__()
        self.call, self.facts = call, facts

    def forward(self, inputs: DirectionInputs) -> DirectionPrediction:
        """Predictions for single faces in [0, 1] of the card's size, on the CPU.

        Raises:
            ExportError: clips.
        """
        if inputs.face.dim() != 4:
            raise ExportError(
                f"the file takes faces, and got clips of shape {tuple(inputs.face.shape)}; expected [n, 3, height, width]"
            )
        return direction(self.call({"face": (inputs.face * 255).round().to(torch.uint8).cpu()}))


def _logit(probability: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    finfo = torch.finfo(probability.dtype)
    p = probability.clamp(finfo.tiny, 1 - finfo.eps / 2)
    return p.log() - (-p).log1p()
