"""Says what to turn down when memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gaze.errors import UserError

# Of torch's allocators of the host, which raise a plain RuntimeError
SIGNS = ("not enough memory", "can't allocate memory", "out of memory")


class RasterizeMemoryError(UserError, RuntimeError):
    """Drawing takes more memory than there is."""


@contextmanager
def explained_memory() -> Iterator[None]:
    """Raise what torch says of memory as a `RasterizeMemoryError` that names the settings to turn down."""
    try:
        yield
    except RasterizeMemoryError:
        raise
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(sign in str(error) for sign in SIGNS):
            raise
        raise RasterizeMemoryError(
            f"drawing the Gaussians takes more memory than there is ({str(error).splitlines()[0]}); turn down "
            "backbone.face_points, trainer.batch_size or model.feature_size"
        ) from error
