"""Who holds a directory: what its lock file says, also to processes on other machines that share the disk."""

from __future__ import annotations

import os
import socket
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
WITHOUT_LOCKS = "is on a file system that has no locks ({}), so two runs could write to it at once; choose a dir= on \
another disk, or have this one mounted with locks"


def mark() -> str:
    """This process, in lines: its id, its machine, and which start of that."""
    return f"{os.getpid()}\n{socket.gethostname()}\n{_boot()}"


def told(text: str) -> str:
    """The process that wrote this mark, in words; ids of other machines say nothing here."""
    pid, host, boot, *_ = [*text.split("\n"), "", "", ""]
    here = (host or socket.gethostname(), boot or _boot()) == (socket.gethostname(), _boot())
    return f"process {pid.strip() or '?'}" + ("" if here else f" on {host}, another machine")


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
