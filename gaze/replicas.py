"""Which of several processes this one is, how they find each other, and what they do together.

Beside `gaze.hardware` this is the one module that reads what a launcher put into the environment.
"""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist

from gaze.errors import UserError
from gaze.resumed import differences

T = TypeVar("T")

LAUNCHERS = ("torchrun", "slurm")
AGREE_EVERY = 10  # steps between two agreements of replicas on whether one of them was told to stop, or wants to save
GATHER = 300.0  # seconds that replicas have to start
ROLL_CALL = 3.0  # seconds that replicas have to say that they are alive after one was missed


class ReplicaError(UserError, RuntimeError):
    """A replica died, hangs, or could not do its part of what all had to do."""


class Place(NamedTuple):
    """Where a process stands among the replicas."""

    rank: int
    replicas: int
    local_rank: int  # on its machine


def place(distributed: bool, launcher: str) -> Place:
    """The place that the launcher gave to this process.

    Args:
        distributed: is it meant to be one of several?
        launcher: "torchrun", or "slurm" for tasks that srun started, one for each device.

    Raises:
        ValueError: the launcher and `distributed` disagree.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f"hardware.launcher is {launcher!r}; expected {' or '.join(LAUNCHERS)}")
    started = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 0
    if not distributed:
        if started > 1:
            raise ValueError(
                "torchrun started several processes but hardware.distributed is false; they would each train alone: "
                "add hardware=ddp"
            )
        return Place(0, 1, 0)
    if launcher == "slurm":
        return _slurm_place()
    if not started:
        raise ValueError(
            "hardware.distributed is true but torchrun did not start this process; use "
            "'torchrun --standalone --nproc-per-node N -m gaze.train ... hardware=ddp', or leave hardware=ddp out"
        )
    if os.environ["TORCHELASTIC_RUN_ID"] == "none":
        raise ValueError(
            "torchrun was given no name for this run, by which its replicas find one directory; "
            "add --standalone, or --rdzv-id NAME on several hosts"
        )
    return Place(int(os.environ["RANK"]), started, int(os.environ["LOCAL_RANK"]))


def _slurm_place() -> Place:
    read = os.environ.get
    tasks = read("SLURM_STEP_NUM_TASKS") or read("SLURM_NTASKS")
    nodes = read("SLURM_STEP_NODELIST") or read("SLURM_JOB_NODELIST")
    if not (tasks and nodes and "SLURM_PROCID" in os.environ):
        raise ValueError(
            "hardware.launcher is slurm but srun did not start this process; use "
            "'srun --ntasks-per-node N --gpus-per-node N python -m gaze.train ... hardware=slurm', or hardware=ddp "
            "with torchrun"
        )
    # Two steps on one host need two ports; all below those that a kernel hands out by itself.
    port = 10000 + (7 * int(read("SLURM_JOB_ID", "0")) + int(read("SLURM_STEP_ID", "0"))) % 20000
    os.environ.setdefault("MASTER_ADDR", first_host(nodes))
    os.environ.setdefault("MASTER_PORT", str(port))
    found = Place(int(os.environ["SLURM_PROCID"]), int(tasks), int(read("SLURM_LOCALID", "0")))
    os.environ["RANK"], os.environ["WORLD_SIZE"] = str(found.rank), str(found.replicas)
    return found


def first_host(nodes: str) -> str:
    """The first host of a list as SLURM writes it: "gpu003" of "gpu[003-006,9],login1"."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", first[0]) if first else nodes


def join(device: torch.device, timeout_s: float) -> dist.Store:
    """Meet the other replicas; a store that they share.

    Args:
        timeout_s: seconds after which what all do together fails for want of one.

    Raises:
        ReplicaError: some did not come.
    """
    wait = timedelta(seconds=timeout_s)
    whole, rank, replicas = next(dist.rendezvous("env://", timeout=timedelta(seconds=GATHER)))
    store = dist.PrefixStore(_round(whole, rank, replicas), whole)
    store.set_timeout(wait)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=replicas, timeout=wait)
    return store


def _round(store: dist.Store, rank: int, replicas: int) -> str:
    """A name for this meeting that no earlier one had.

    torchrun keeps one store for all restarts, in which torch would find the addresses of processes that are dead
    (pytorch issue 135712); how many restarts there were, each host counts for itself. So each replica knocks under a
    name of its own, and the first answers those that nobody has answered yet.
    """
    name = uuid.uuid4().hex
    deadline = time.monotonic() + GATHER
    if rank > 0:
        store.set(f"knock/{rank}", name)
        store.wait([f"answer/{name}"], timedelta(seconds=GATHER))
        store.set(f"heard/{name}", "")
        return store.get(f"answer/{name}").decode()
    absent, answered = set(range(1, replicas)), dict[int, str]()
    while absent:
        for other in [other for other in absent if store.check([f"knock/{other}"])]:
            knock = store.get(f"knock/{other}").decode()
            if answered.get(other) == knock:
                absent -= {other} if store.check([f"heard/{knock}"]) else set()
            elif not store.check([f"answer/{knock}"]):
                store.set(f"answer/{knock}", name)
                answered[other] = knock
        if time.monotonic() > deadline:
            raise ReplicaError(
                f"replicas {sorted(absent)} of {replicas} did not come within {GATHER:g} s; look at their output"
            )
        time.sleep(0.01)
    return name


def on_all(work: Callable[[], T]) -> list[T]:
    """What each replica's `work` returns, by rank, on every replica; alone: in a list of one.

    Raises:
        ReplicaError: it failed on some of them; all raise alike, and the message says where and why.
    """
    if not dist.is_initialized():
        return [work()]
    error: Exception | None = None
    done: tuple[Any, str | None]
    try:
        done = (work(), None)
    except Exception as caught:
        error, done = caught, (None, str(caught))
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, done)
    failed = [f"replica {rank}: {problem}" for rank, (_, problem) in enumerate(every) if problem is not None]
    if failed:
        raise ReplicaError("; ".join(failed)) from error
    return [result for result, _ in every]


def on_first(work: Callable[[], T]) -> T:
    """What `work` returns on the first replica, on every replica.

    Raises:
        ReplicaError: it failed there.
    """
    first = not dist.is_initialized() or dist.get_rank() == 0
    result: T = on_all(lambda: work() if first else None)[0]  # type: ignore[assignment]
    return result


def check_same(what: str, facts: Callable[[], Mapping[str, Any]]) -> None:
    """Check that all replicas were told the same: nested values, by dotted key. Alone, nobody asks for them.

    Raises:
        ReplicaError: they were not; `what` and the facts that differ are named.
    """
    if not dist.is_initialized():
        return
    told = on_all(lambda: dict(facts()))
    for rank, other in enumerate(told):
        if different := [f"{key}: {here} / {there}" for key, here, there in differences(told[0], other)]:
            raise ReplicaError(f"replicas 0 and {rank} differ in {what}: {'; '.join(different)}; start them alike")


def only_warn(rank: int) -> None:
    """Keep what is no warning out of this replica's output and log, which the first one fills; and say whose the rest is."""

    class Signed(logging.Formatter):
        def __init__(self, signed: logging.Formatter) -> None:
            super().__init__()
            self.signed = signed

        def format(self, record: logging.LogRecord) -> str:
            return f"[replica {rank}] {self.signed.format(record)}"

    for handler in logging.getLogger().handlers:
        handler.setLevel(max(handler.level, logging.WARNING))
        handler.setFormatter(Signed(handler.formatter or logging.Formatter()))


def broke_off(error: BaseException) -> bool:
    """Does this error say that another replica was missed, rather than that this one did something wrong?

    What is said in our own words may quote a disk or a server that timed out.
    """
    text = str(error).lower()
    signs = ("timed out", "timeout", "closed by peer", "connection reset", "broken pipe", "connection refused")
    ours = isinstance(error, UserError)
    return isinstance(error, RuntimeError) and not ours and any(sign in text for sign in signs)


def missing(store: dist.Store, rank: int, replicas: int, wait: float = ROLL_CALL) -> list[int]:
    """The replicas that don't say within `wait` seconds that they, too, missed another one.

    Those that wait for one that hangs give up at about the same time; the one that hangs never does.
    """
    store.set(f"missed/{rank}", "")
    deadline = time.monotonic() + wait
    absent = [other for other in range(replicas) if other != rank]
    while absent and time.monotonic() < deadline:
        absent = [other for other in absent if not store.check([f"missed/{other}"])]
        time.sleep(0.05)
    return absent


def told(store: dist.Store, rank: int, replicas: int, timeout_s: float) -> str:
    """Which replica is to blame for a step that could not be finished, in one sentence."""
    again = (
        "torchrun --max-restarts N goes on from the last checkpoint by itself, and so does the same command with dir="
    )
    try:
        absent = missing(store, rank, replicas)
    except RuntimeError:  # the store is gone
        return f"the launcher or the first replica's machine cannot be reached; {again}"
    if not absent:
        return f"a connection between replicas broke, though all of them are alive; look at the network. {again}"
    who = f"replica{'s' * (len(absent) > 1)} {', '.join(map(str, absent))} of {replicas}"
    return f"{who} died, or did not come within {timeout_s:g} s (hardware.timeout_s); look at its output. {again}"
