"""An exported file as a scene model like any other."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.export.facts import ExportError
from gaze.export.formats import FORMATS
from gaze.export.naming import NAMINGS
from gaze.types import SceneInputs, ScenePrediction

SUFFIXES = {kind.suffix: kind for kind in FORMATS.values()}


def is_exported(path: Path) -> bool:
    """Does the name end as that of an exported file?"""
    return path.suffix in SUFFIXES and not path.is_dir()


class Exported(nn.Module):
    """A file that `gaze.export.exporter.export` wrote. It runs on the CPU, wherever its inputs are.

    Args:
        path: the file.
        trust: open kinds of file that can hold code, which runs when they are opened.

    Raises:
        ExportError: the file does not exist, is not ours, is damaged, or must be trusted first.
    """

    def __init__(self, path: Path, trust: bool = False) -> None:
        super().__init__()
        if not path.is_file():
            raise ExportError(f"{path} does not exist; give a run directory, or a file that tools/export.py wrote")
        kind = SUFFIXES[path.suffix]
        if not (kind.safe or trust):
            raise ExportError(
                f"{path} is of a kind that can hold code, which would run when it is opened; "
                "say trust=true if you made it or know who did, or export to ONNX"
            )
        # Not as a submodule: it stays on the CPU.
        self.call, self.facts = kind.open(path)
        if self.facts.names not in NAMINGS:
            raise ExportError(f"{path} names its inputs after {self.facts.names!r}; expected {' or '.join(NAMINGS)}")
        self.naming = NAMINGS[self.facts.names]

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        """Predictions for images in [0, 1] of `facts.image_size`, on the CPU.

        The logits are those of the file's probabilities: where one is so close to 1 that float32 can't tell, they end
        at about 16.6.
        """
        image = (inputs.image * 255).round().to(torch.uint8)  # exactly what it was before it was divided
        found = self.probabilities(SceneInputs(image, inputs.head_bbox, inputs.image_index).to("cpu"))
        inout = found.get("inout")
        return ScenePrediction(_logit(found["heatmap"]), None if inout is None else _logit(inout))

    def probabilities(self, scene: SceneInputs) -> dict[str, Tensor]:
        """What the file gives for uint8 pictures on the CPU: ``heatmap`` [n h w] and, if it has it, ``inout`` [n]."""
        inputs, rows = self.naming.pack(scene)
        return {name: output[rows] for name, output in self.call(inputs).items()}


def _logit(probability: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    finfo = torch.finfo(probability.dtype)
    p = probability.clamp(finfo.tiny, 1 - finfo.eps / 2)
    return p.log() - (-p).log1p()
