"""Files at addresses, fetched once."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import torch

from gaze.errors import UserError
from gaze.tensor_files import wrong_digest


def fetch(weights: str) -> Path:
    """The path of a file, downloaded first if `weights` is an address and it is not there yet.

    A download goes into torch.hub's folder, and is checked against the digest in its name if that has one.

    Raises:
        UserError: it can't be had.
    """
    address = urlparse(weights)
    if address.scheme not in ("http", "https"):
        return Path(weights).expanduser()
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(address.path).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        try:
            torch.hub.download_url_to_file(weights, str(aside), progress=False)
        except OSError as error:
            raise UserError(
                f"could not download {weights} ({error}): fetch it and set backbone.weights to its path, "
                "or to null for random weights"
            ) from error
        aside.replace(path)
        if problem := wrong_digest(path):
            path.unlink()
            raise UserError(f"{weights} came damaged: {problem}; try again, or set backbone.weights to a file")
    return path
