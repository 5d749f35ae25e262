"""The environment of the process: variables, text encoding, clocks."""

from __future__ import annotations

import locale
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, warning
from gaze.doctor.machine import cores_to_use, writable_parent

REPLICA = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")  # torchrun sets all
SKEW_S = 5.0
WRITTEN = 1_735_689_600  # 2025-01-01: no clock is right that is before it


def replicas(case: Case) -> Iterator[Finding]:
    """Are torchrun's variables all there, or none?"""
    there = [name for name in REPLICA if name in os.environ]
    absent = [name for name in REPLICA if name not in os.environ]
    if there and absent and {"RANK", "LOCAL_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"} & set(there):
        yield warning(
            "torchrun",
            f"{', '.join(there)} set, but not {', '.join(absent)}; replicas would wait for each other: start them with "
            f"torchrun, or: unset {' '.join(there)}",
        )
    if case.value("hardware.distributed") and "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ok(
            "torchrun",
            "hardware.distributed is true: start with torchrun --standalone --nproc-per-node N -m gaze.train",
        )


def variables(case: Case) -> Iterator[Finding]:
    """Do variables say what they can't mean?"""
    threads, cores = os.environ.get("OMP_NUM_THREADS"), cores_to_use()
    if threads is not None and not (threads.isdigit() and 1 <= int(threads) <= cores):
        yield warning(
            "OMP_NUM_THREADS", f"it is {threads!r} on {cores:g} cores; set it to 1 to {int(cores)}, or unset it"
        )
    unsafe = os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "").lower()
    if unsafe in ("1", "y", "yes", "true"):
        yield problem(
            "torch.load",
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD lets checkpoints run code: unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",
        )
    data = os.environ.get("GAZE_DATA")
    if data is not None and not Path(data).is_dir():
        yield warning("GAZE_DATA", f"it is {data!r}, where there is no folder; set it to the folder of the data sets")


def encoding(case: Case) -> Iterator[Finding]:
    """Are file names and texts UTF-8?"""
    found = {"file names": sys.getfilesystemencoding(), "texts": locale.getpreferredencoding(False)}
    wrong = [
        f"{what} are {name}" for what, name in found.items() if name.lower().replace("-", "") not in ("utf8", "cp65001")
    ]
    if wrong:
        yield warning("encoding", f"{' and '.join(wrong)} instead of UTF-8; names may break: export PYTHONUTF8=1")


def clock(case: Case) -> Iterator[Finding]:
    """Does the clock agree with that of the file system which runs are written to?"""
    now = time.time()
    if now < WRITTEN:
        yield warning(
            "clock", f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}; set it, or certificates are refused"
        )
    folder = writable_parent(str(case.value("dir", "outputs")))
    if not os.access(folder, os.W_OK):
        return
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0")
        file.flush()
        skew = os.fstat(file.fileno()).st_mtime - time.time()
    if abs(skew) > SKEW_S:
        yield warning(
            "clock",
            f"the file system of {folder} is {skew:+.0f} s off this machine's clock, so the newest run may not be the last: "
            "synchronise both (NTP)",
        )
