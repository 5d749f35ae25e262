"""TorchScript files, for programs that can read nothing newer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gaze.export.baked import refuse_baked_script
from gaze.export.facts import KEY, ExportError
from gaze.export.format import Call, Format, Traced, first_line, quiet


class TorchScript(Format):
    """A trace of `torch.jit`, which PyTorch no longer develops. Opening one can run what is in it."""

    suffix, safe = ".ts", False
    notes = ("PyTorch no longer develops TorchScript, and warns of it; prefer a .pt2 or .onnx file",)

    def write(self, traced: Traced, path: Path, text: str, about: str, opset: int | None) -> None:
        try:
            with quiet(), torch.no_grad():
                # Not strict: the outputs are a dict, whose keys never change
                script = torch.jit.trace(
                    traced.graph, example_kwarg_inputs=traced.example, strict=False, check_trace=False
                )
                refuse_baked_script(script)
                torch.jit.save(script, path, _extra_files={KEY: text})
        except RuntimeError as error:
            raise ExportError(f"TorchScript can't hold this model ({first_line(error)}); use format=pt2") from error

    def open(self, path: Path) -> tuple[Call, str | None]:
        extra = {KEY: ""}
        try:
            with quiet():
                module = torch.jit.load(path, map_location="cpu", _extra_files=extra)
        except (RuntimeError, ValueError) as error:
            raise ExportError(f"{path} can't be opened by torch.jit ({first_line(error)}); export it again") from error

        def call(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            with quiet(), torch.no_grad():
                return module(**inputs)

        found: str | bytes = extra[KEY]
        return call, found.decode() if isinstance(found, bytes) else found
