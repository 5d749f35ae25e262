"""Counting bytes of tensors, each storage once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from gaze.types import Record


def tensors(record: Record) -> Iterator[Tensor]:
    """All tensors of a record and of those in it."""
    for value in vars(record).values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Record):
            yield from tensors(value)


def held(modules: Iterable[nn.Module]) -> int:
    """Bytes of the parameters and buffers of modules, those that they share once."""
    storages = {}
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            storage = tensor.untyped_storage()
            storages[storage._cdata] = storage.nbytes()
    return sum(storages.values())
