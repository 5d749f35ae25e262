"""Programs of torch.export."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gaze.export.facts import KEY, ExportError
from gaze.export.format import Call, Format, Traced, first_line, quiet


class Program(Format):
    """A `torch.export` program. Opening one can run code that is in it."""

    suffix, safe = ".pt2", False

    def write(self, traced: Traced, path: Path, text: str, about: str, opset: int | None) -> None:
        with quiet():
            torch.export.save(traced.program, path, extra_files={KEY: text})

    def open(self, path: Path) -> tuple[Call, str | None]:
        extra = {KEY: ""}
        try:
            with quiet():
                module = torch.export.load(path, extra_files=extra).module()
        except Exception as error:  # zip, JSON, schema: each fails in its own way
            raise ExportError(
                f"{path} can't be opened by torch.export ({first_line(error)}); export it again"
            ) from error

        def call(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            with torch.no_grad():
                return module(**inputs)

        return call, extra[KEY]
