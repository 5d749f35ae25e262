"""Unpacks members of archives into a folder, whole or not at all, and never over something else."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from gaze.errors import UserError
from gaze.head_views.archives import Member

STEP = 1 << 20  # bytes at a time


def unpack(
    member: Member,
    opened: zipfile.ZipFile,
    path: Path,
    overwrite: bool,
    progress: Callable[[int], None] = lambda count: None,
) -> bool:
    """Put a member into a file; False if exactly it is there already.

    Args:
        opened: the member's archive.
        path: of the file.
        overwrite: replace a file that holds something else.
        progress: is called with numbers of bytes that were done.

    Raises:
        UserError: the file holds something else, the member is damaged, or there is no room.
    """
    info = member.info
    if path.exists():
        if path.stat().st_size == info.file_size and _crc(path, progress) == info.CRC:
            return False
        if not overwrite:
            raise UserError(
                f"{path} is there and is not {info.filename} of {member.archive.name}; expected a new folder, or one that was "
                "prepared from the same archives; choose another out, or replace it with overwrite=true"
            )
    aside = path.with_name(f".{path.name}.part")
    try:
        with opened.open(info) as source, aside.open("wb") as target:
            while data := source.read(STEP):  # never more than the archive declares
                target.write(data)
                progress(len(data))
            target.flush()
            os.fsync(target.fileno())
        os.replace(aside, path)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise UserError(
            f"{member.archive.name}: {info.filename} is damaged ({error}); fetch the archive again"
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror or error}); free space, or choose another out"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return True


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what can't end.

    Raises:
        UserError: the disk is too full.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB left; expected {needed / 1e9:.1f} GB for what is to be unpacked; free space, or "
            "choose another out"
        )


def _crc(path: Path, progress: Callable[[int], None]) -> int:
    value = 0
    with path.open("rb") as file:
        while data := file.read(STEP):
            value = zlib.crc32(data, value)
            progress(len(data))
    return value
