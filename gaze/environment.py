"""What a run ran with: enough to repeat it, or to see why it cannot be repeated."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PACKAGES = ("torch", "torchvision", "timm", "hydra-core", "omegaconf", "mlflow", "optuna", "torchmetrics", "numpy")


def environment() -> dict[str, Any]:
    """Versions, machine and git state as plain values."""
    return {
        "command": " ".join(sys.argv),
        "git": git_state(Path(__file__).parent),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "replicas": dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def code() -> dict[str, Any]:
    """What decides what a command computes, other than its config: commit and changes, Python and packages."""
    here = git_state(Path(__file__).parent)
    versions = {name: _version(name) for name in ("gaze", "torch", "timm", "numpy")}
    return {
        "commit": here.get("commit"),
        "changes": here.get("diff_sha256"),
        "python": platform.python_version(),
    } | versions


def git_state(directory: Path) -> dict[str, Any]:
    """Commit of the checkout that holds `directory`, and a hash of what was changed in it since; empty outside of one."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _git(directory, "diff", "--no-ext-diff", "--no-textconv", "HEAD")
    changed = {"diff_sha256": hashlib.sha256(changes.encode()).hexdigest()} if changes else {}
    return {"commit": commit, "dirty": bool(changes), **changed}


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
