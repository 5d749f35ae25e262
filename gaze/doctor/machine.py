"""Processor, memory, shared memory, disk and files: are there enough for this run, within a container's limits?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, size, warning

CGROUP = Path("/sys/fs/cgroup")
SHARED = Path("/dev/shm")
PREFETCH = 2  # batches that each worker of torch's loader has ready
LEAST_MEMORY = 2e9  # bytes: torch, its libraries and a small model
OPEN_FILES = 1024
SPARE_DISK = 1e9  # bytes, for figures, pictures and logs


def processor(case: Case) -> Iterator[Finding]:
    """Are there cores for the loader's workers?"""
    cores, workers = cores_to_use(), int(case.value("hardware.workers", 0))
    if workers > cores:
        yield warning(
            "cores",
            f"{workers} loader workers share {cores:g} cores; more of them than cores only take memory: "
            f"hardware.workers={max(int(cores) - 1, 0)}",
        )
    else:
        yield ok("cores", f"{cores:g}" + (f" for {workers} loader workers and the run itself" if case.config else ""))
    threads = case.value("hardware.threads")
    if isinstance(threads, int) and threads > cores:
        yield warning("threads", f"hardware.threads is {threads} on {cores:g} cores; use hardware.threads={int(cores)}")


def memory(case: Case) -> Iterator[Finding]:
    """Is there main memory, also for what callbacks and losses are told to remember?"""
    free, total = memory_to_use()
    replicas = replicas_here(case)
    kept = sum(gigabytes(case)) * 1e9 * replicas
    if free < LEAST_MEMORY:
        yield warning("memory", f"only {size(free)} of {size(total)} free; end other programs before you train")
    elif kept and kept + LEAST_MEMORY > free:
        yield warning(
            "memory",
            f"what is to be remembered takes up to {size(kept)}"
            f"{f' in {replicas} replicas' if replicas > 1 else ''}, and {size(free)} are free; lower gigabytes or "
            "remember_gigabytes, else the run may be killed",
        )
    else:
        yield ok("memory", f"{size(free)} of {size(total)} free")


def shared_memory(case: Case) -> Iterator[Finding]:
    """Do the batches that workers have ready fit into shared memory?"""
    workers = int(case.value("hardware.workers", 0))
    if not workers or not SHARED.is_dir():
        return
    free, batch = shutil.disk_usage(SHARED).free, batch_bytes(case)
    if batch is None:
        if free < 256e6:
            yield warning("/dev/shm", f"only {size(free)} free; {SHARED_REMEDY}")
        return
    need = batch * workers * PREFETCH
    if need > free:
        yield problem(
            "/dev/shm", f"{workers} workers keep {size(need)} there, and {size(free)} are free; {SHARED_REMEDY}"
        )
    else:
        yield ok("/dev/shm", f"{size(free)} free, {workers} workers keep {size(need)} there")


SHARED_REMEDY = "give the container more (docker run --shm-size=8g), or use fewer: hardware.workers=0"


def disk(case: Case) -> Iterator[Finding]:
    """Is there room for checkpoints, and may they be written?"""
    folder = writable_parent(str(case.run or case.value("dir", "outputs")))
    usage = shutil.disk_usage(folder)
    if not os.access(folder, os.W_OK):
        yield problem("disk", f"{folder} can't be written to; change its owner, or choose another dir=")
        return
    nodes = os.statvfs(folder)
    if nodes.f_files and nodes.f_favail < 1000:
        yield problem("disk", f"the file system of {folder} takes {nodes.f_favail} more files only; delete some")
        return
    need = checkpoint_bytes(case)
    told = f"{size(usage.free)} free at {folder}" + ("" if need is None else f", checkpoints take {size(need)}")
    if usage.free < SPARE_DISK + 2 * (need or 0):
        much = "not enough for checkpoints" if need and usage.free < need else "little"
        line = f"{told}: {much}; delete old runs, or choose another place with dir="
        yield (problem if need and usage.free < need else warning)("disk", line)
    else:
        yield ok("disk", told)


def open_files(case: Case) -> Iterator[Finding]:
    """May a process open as many files as workers and databases need?"""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = OPEN_FILES if soft >= 0 else 0
    if 0 <= soft < least:
        yield warning("open files", f"a process may open {soft}; expected {least} or more: ulimit -n {min(4096, hard)}")


def cores_to_use() -> float:
    """Cores that this process may use, within the limits of its container."""
    try:
        allowed: float = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        allowed = os.cpu_count() or 1
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    return min(allowed, int(quota) / int(period)) if quota.isdigit() and period.isdigit() else allowed


def memory_to_use() -> tuple[float, float]:
    """Bytes of main memory that are free and in all, within the limits of a container."""
    import psutil

    found = psutil.virtual_memory()
    limit, used = _read(CGROUP / "memory.max"), _read(CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit() and int(limit) < found.total:
        # What the container holds includes files that the kernel forgets when memory is needed.
        stat = dict(line.split() for line in _read(CGROUP / "memory.stat").splitlines() if len(line.split()) == 2)
        held = int(used) - int(stat.get("inactive_file", 0))
        return min(int(limit) - held, found.available), int(limit)
    return found.available, found.total


def replicas_here(case: Case) -> int:
    """Replicas that a run has on this machine: one for each GPU, if it is distributed."""
    import torch

    return max(torch.cuda.device_count(), 1) if case.value("hardware.distributed") else 1


def gigabytes(case: Case) -> Iterator[float]:
    """What parts of the config are told to remember in main memory, at most, in each replica."""
    for group in ("callback", "loss"):
        for node in (case.value(group) or {}).values():
            for key in ("gigabytes", "remember_gigabytes"):
                if not isinstance(node, dict) or "_target_" not in node or node.get("dir") is not None:
                    continue  # what has a directory is kept there
                if isinstance(node.get(key), (int, float)):
                    yield float(node[key])


def batch_bytes(case: Case) -> float | None:
    """Bytes of a batch as the loader gives it, from samples; None where there are none."""
    from gaze.doctor.tensors import tensors

    if not case.examples:
        return None
    each = sum(tensor.nbytes for example in case.examples for tensor in tensors(example)) / len(case.examples)
    return each * int(case.value("trainer.batch_size", 1))


def checkpoint_bytes(case: Case) -> float | None:
    """Bytes of all checkpoints that a run keeps, and of the one that it writes aside; None without any."""
    from gaze.doctor.footprint import optimizer_bytes, thawed
    from gaze.doctor.tensors import held

    checkpoint = case.value("callback.checkpoint") or {}
    if "_target_" not in checkpoint or case.model is None:
        return None
    model = thawed(case.model, case)
    weights, state = held([model]), optimizer_bytes(model, case)
    average = weights if (case.value("callback.ema") or {}).get("_target_") else 0
    whole = weights + state + average
    return whole * (int(checkpoint.get("keep_last", 2)) + 1) + weights * (int(checkpoint.get("keep_best", 1)) + 1)


def writable_parent(path: str) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    folder = Path(path).expanduser().absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
