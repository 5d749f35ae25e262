"""Two processes that are replicas of each other, forked from a server that has imported everything already."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

from tests.processes import context


def run_pair(work: Callable[..., Any], *args: Any, replicas: int = 2) -> list[Any]:
    """What `work(*args)` returns in each of several replicas, by rank; it makes its own `Hardware`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = context()
    answers = made.SimpleQueue()
    children = [made.Process(target=_replica, args=(r, replicas, port, answers, work, args)) for r in range(replicas)]
    for child in children:
        child.start()
    for child in children:  # what they answer fits into the pipe
        child.join(100)
        child.kill()
    told = {}
    while not answers.empty():
        told |= dict([answers.get()])
    assert len(told) == replicas, "a replica hangs"
    failed = [answer for answer in told.values() if isinstance(answer, Failed)]
    assert not failed, "\n".join(failed)
    return [told[rank] for rank in range(replicas)]


class Failed(str):
    """The traceback of a replica."""


def _replica(
    rank: int, replicas: int, port: int, answers: Any, work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    import torch

    torch.set_num_threads(1)
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": replicas, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in told.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", TORCHELASTIC_RUN_ID="test")
    try:
        answers.put((rank, work(*args)))
    except BaseException:
        answers.put((rank, Failed(f"replica {rank}:\n{traceback.format_exc()}")))
        os._exit(1)  # the other one may wait for this one: it is told by the connection that ends
