"""Files at addresses, fetched once."""

from __future__ import annotations

import logging
import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.parse import parse_qs, urldefrag, urlparse
from urllib.request import urlopen

import torch

from gaze.errors import UserError
from gaze.tensor_files import HASHED, sha256, wrong_digest

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0  # for a server's next bytes


def fetch(weights: str, key: str = "backbone.weights", without: str = ", or to null for random weights") -> Path:
    """The path of a file, downloaded first if `weights` is an address and it is not there yet.

    A download goes into torch.hub's folder. It must be as long as the server says, and have the digest that its
    name holds, as torch.hub's do, or that the address ends in: ``https://.../file.pth#sha256=0123...``.

    Args:
        key: what a user sets to name the file, for the messages.
        without: what a user can do without the file, after "set KEY to its path".

    Raises:
        UserError: it can't be had, or is not what it should be.
    """
    if urlparse(weights).scheme not in ("http", "https"):
        return Path(weights).expanduser()
    address, fragment = urldefrag(weights)
    expected = parse_qs(fragment).get("sha256", [""])[0].lower()
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(address).path).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        try:
            _download(address, aside)
        except (OSError, HTTPException) as error:
            aside.unlink(missing_ok=True)
            raise UserError(
                f"could not download {address} ({error}): fetch it and set {key} to its path{without}"
            ) from error
        aside.replace(path)
        if not expected and not HASHED.search(path.name):
            logger.warning("no checksum is known for %s; add #sha256=%s to hold it to this one", address, sha256(path))
    problem = wrong_digest(path)
    if expected and (found := sha256(path)) != expected:
        problem = f"its sha256 is {found} instead of {expected}"
    if problem:
        path.unlink()
        raise UserError(f"{address} came damaged: {problem}; try again, or set {key} to a file")
    return path


def _download(address: str, aside: Path) -> None:
    with urlopen(address, timeout=PATIENCE_S) as response, aside.open("wb") as file:
        shutil.copyfileobj(response, file)
        length = response.headers.get("Content-Length")
    if length is not None and aside.stat().st_size != int(length):
        raise OSError(f"only {aside.stat().st_size} of {length} bytes came")
