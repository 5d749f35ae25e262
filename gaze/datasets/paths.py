"""Paths that come from annotation files, kept inside the folder they belong to."""

from __future__ import annotations

import os
from functools import lru_cache


class PathError(ValueError):
    """A path that leaves the data root."""


def plain(relative: str) -> str:
    """The same path without parts that mean nothing, so that one file has one name: "./a//b.jpg" is "a/b.jpg".

    What `inside` refuses (a leading slash, "..") stays as it is.
    """
    anchor = "/" if relative.startswith("/") else ""
    return anchor + "/".join(part for part in relative.split("/") if part not in ("", "."))


def inside(root: str, relative: str) -> str:
    """The path of a file below `root`, by a name that an annotation file gave.

    Args:
        root: the data root. It may itself be a link; what it points to is the root then.
        relative: the name, with / between its parts, relative to the root. The file need not exist.

    Raises:
        PathError: the name is empty or absolute, or leads out of the root by `..` or by a link.
    """
    # Read by Windows' rules too, so that "C:\\x" and "..\\x" are refused wherever the file was written.
    parts = relative.replace("\\", "/").split("/")
    if not relative or "\0" in relative:
        raise PathError(f"path {relative!r} is not a file name; expected a path relative to {root}")
    if relative[0] in "/\\" or relative[1:2] == ":":
        raise PathError(f"path {relative!r} is absolute; expected a path relative to {root}")
    if ".." in parts:
        raise PathError(f"path {relative!r} climbs with '..'; expected a path below {root}")
    path = os.path.join(root, relative)
    if parts[-1] not in ("", ".") and _holds(root, os.path.dirname(path)) and not os.path.islink(path):
        return path
    real, top = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(top.rstrip(os.sep) + os.sep):
        raise PathError(f"path {relative!r} leads by a link to {real}; expected a file below {top}")
    return path


@lru_cache(maxsize=4096)
def _holds(root: str, folder: str) -> bool:
    """Whether a folder is the root or below it, links followed. Asked once, for following them takes longer than a face."""
    real, top = os.path.realpath(folder), os.path.realpath(root)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)
