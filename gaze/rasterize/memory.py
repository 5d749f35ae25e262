"""Says what to turn down when memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gaze.errors import UserError
from gaze.memory import ran_out


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
        if not ran_out(error):
            raise
        raise RasterizeMemoryError(
            f"drawing the Gaussians takes more memory than there is ({str(error).splitlines()[0]}); turn down "
            "backbone.face_points, trainer.batch_size or model.feature_size"
        ) from error
