"""A loader that says which of its workers failed, at which sample and why, and that waits for none of them forever."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, _utils, get_worker_info
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

from gaze.errors import UserError
from gaze.heap import give_back
from gaze.types import collate

log = logging.getLogger(__name__)

POLL_S = 0.5  # between two looks at whether all workers live
NONE = -1  # a worker that has not begun


class LoaderError(UserError, RuntimeError):
    """A worker died, raised or hangs. Its message says which one, and at which sample it was."""


class Failure(NamedTuple):
    """What a worker sends in place of a batch: an exception itself can lose its sentence on the way."""

    sample: int
    error: str
    traceback: str
    clear: bool  # is the error one that is meant for people?


class Loader(DataLoader):
    """A DataLoader of `Dataset`s whose failures name worker and sample.

    Args:
        dataset: what samples come from.
        patience_s: seconds to wait for a worker's next batch; None: forever. Only workers are waited for.
    """

    def __init__(self, dataset: TorchDataset, patience_s: float | None = None, **kwargs: Any) -> None:
        workers = kwargs.get("num_workers", 0)
        if workers > 0:
            super().__init__(_Tried(dataset, workers), collate_fn=_collate, timeout=patience_s or 0, **kwargs)
        else:
            super().__init__(dataset, collate_fn=collate, **kwargs)

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return super()._get_iterator()
        give_back()  # before workers are forked, who would keep it alive
        return _Watching(self)


class _Tried(TorchDataset):
    """The samples of a data set, or what went wrong with one; and which one each worker is at."""

    def __init__(self, dataset: TorchDataset, workers: int) -> None:
        self.dataset = dataset
        self.at = torch.full((workers,), NONE).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: Any) -> Any:
        worker = get_worker_info()
        if worker is not None:
            self.at[worker.id] = _number(index)
        try:
            return self.dataset[index]
        except Exception as error:
            clear = isinstance(error, (UserError, ValueError, OSError))
            told = str(error) if clear else f"{type(error).__name__}: {error}"
            return Failure(_number(index), told, traceback.format_exc(), clear)


class _Watching(_MultiProcessingDataLoaderIter):
    """The iterator over batches of workers.

    Torch learns of a dead worker by a signal, and raises wherever the main process is at that moment, be it in the
    middle of writing a checkpoint. Here it is noticed when the worker's next batch is waited for.
    """

    def __init__(self, loader: Loader) -> None:
        self._owner = weakref.ref(loader)
        super().__init__(loader)
        _utils.signal_handling._remove_worker_pids(id(self))
        self._worker_pids_set = False

    def _next_data(self) -> Any:
        data = super()._next_data()
        if not isinstance(data, Failure):
            return data
        self._end()
        log.debug("%s", data.traceback)
        where = "" if data.clear else f"\n{data.traceback}"
        raise LoaderError(f"sample {data.sample} can't be loaded: {data.error}{where}")

    def _get_data(self) -> Any:
        waited_since = time.monotonic()
        while True:
            try:
                there, data = self._try_get_data(POLL_S)
            except Exception as error:  # a worker that dies breaks the queue in many ways
                time.sleep(POLL_S)  # its pipes close a moment before it counts as dead
                dead = [number for number, worker in enumerate(self._workers) if not worker.is_alive()]
                if not dead:
                    raise
                raise self._died(dead[0]) from error
            if there:
                return data
            if self._pin_memory and not self._pin_memory_thread.is_alive():
                self._end()
                raise LoaderError("the thread that copies batches for the device ended; look at the device's memory")
            if self._timeout and time.monotonic() - waited_since > self._timeout:
                raise self._hangs(self._task_info[self._rcvd_idx][0])

    def _died(self, worker: int) -> LoaderError:
        code = self._workers[worker].exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        do = "look at that sample"
        if code == -signal.SIGKILL:
            do = "the system does that when memory runs out: lower hardware.workers or trainer.batch_size"
        return self._told(worker, how, do)

    def _hangs(self, worker: int) -> LoaderError:
        process = self._workers[worker].pid
        assert process is not None
        os.kill(process, signal.SIGUSR2)  # see `gaze.loading.outlive_signals`
        time.sleep(POLL_S)
        how = f"gave nothing for {self._timeout:g} s (its stack is above)"
        do = "look at that sample and at the disk that it is on, or raise hardware.loader_timeout_s"
        return self._told(worker, how, do)

    def _told(self, worker: int, how: str, do: str) -> LoaderError:
        process, at = self._workers[worker].pid, int(self._dataset.at[worker])  # type: ignore[attr-defined]
        self._end()
        last = "it had not begun any sample" if at == NONE else f"its last sample was {at}"
        return LoaderError(f"loader worker {worker} (process {process}) {how}; {last}; {do}")

    def _end(self) -> None:
        """End all workers now; one that hangs would not listen."""
        for worker in self._workers:
            worker.kill()
        self._shutdown_workers()
        owner = self._owner()
        if owner is not None:
            owner._iterator = None  # the next epoch, if anybody wants one, begins with new workers


def _collate(samples: Sequence[Any]) -> Any:
    return next((sample for sample in samples if isinstance(sample, Failure)), None) or collate(samples)


def _number(index: Any) -> int:
    return int(getattr(index, "sample", index))
