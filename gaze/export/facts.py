"""What an exported file says about itself."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from gaze.errors import UserError

KEY = "gaze"  # of the entry in ONNX's metadata, and of a program's extra file


class ExportError(UserError, RuntimeError):
    """A model can't be exported as asked, or a file was not exported by us."""


@dataclass(frozen=True)
class Facts:
    """Written into the file, so that it can be used and traced back without its run."""

    model: str  # name of the run's config
    names: str  # of inputs and outputs: a key of `gaze.export.naming.NAMINGS`
    image_size: tuple[int, int]  # height, width in pixels
    heatmap_size: tuple[int, int]  # height, width in cells
    run: str  # the last two parts of its directory
    weights_sha256: str  # of the checkpoint's model.safetensors
    gaze: str  # version of this package
    inputs: str  # in words

    def text(self) -> str:
        """As JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def read(cls, text: str | None, file: Path) -> Facts:
        """The facts in `file`, whose text this is.

        Raises:
            ExportError: there are none, or not these.
        """
        try:
            found = json.loads(text or "")
            sizes = {key: (int(found[key][0]), int(found[key][1])) for key in ("image_size", "heatmap_size")}
            return cls(**{field.name: found[field.name] for field in dataclasses.fields(cls)} | sizes)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ExportError(
                f"{file} does not say how it is to be used; expected a file that tools/export.py of this version wrote"
            ) from error
