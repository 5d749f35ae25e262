"""Parts of a model that keep nothing for the backward pass but their inputs, and compute the rest again there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gaze import attention
from gaze.globs import matching


def recompute(model: nn.Module, patterns: Sequence[str], compiled: bool = False) -> nn.Module:
    """The model, in place, some of whose modules forget their activations (Chen et al. 2016).

    Losses, gradients, what modules draw at random and buffers are those without it, bit for bit on a CPU. Names of
    parameters stay. It may be asked for again: what forgets already goes on to.

    Args:
        patterns: globs over names of modules; of those in one another the outermost forgets.
        compiled: torch.compile will trace the model, and can't put buffers back.

    Raises:
        ValueError: a glob matches no module, or one that has no forward pass of its own, or may change twice.
    """
    named = dict(model.named_modules())
    chosen: list[str] = []
    for name in matching(model, patterns, "hardware.checkpoint_activations"):
        if not name.startswith(tuple(f"{outer}." for outer in chosen)):
            chosen.append(name)
    for name in chosen:
        module = named[name]
        if type(module).forward is nn.Module.forward:
            raise ValueError(
                f"hardware.checkpoint_activations: {name} is a {type(module).__name__}, which is never called; name what "
                f"it holds: '{name}.*'"
            )
        if compiled and next(module.buffers(), None) is not None:
            raise ValueError(
                f"hardware.checkpoint_activations: {name} has buffers, which a compiled forward pass might change twice; "
                "name parts of it that have none, or set hardware.compile=null"
            )
        if not getattr(module, "forgets", False):
            kind: Any = type(module)
            module.__class__ = _forgetful(kind)
    return model


@cache
def _forgetful(kind: Any) -> Any:
    """The same kind of module, but that it forgets. A class, unlike a hook or a wrapper, is copied with the module."""

    class Forgetful(kind):
        forgets = True

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled():
                return super().forward(*args, **kwargs)
            if torch.compiler.is_compiling():  # such a model has no buffers, and none of our attention
                return checkpoint(super().forward, *args, use_reentrant=False, **kwargs)
            before = [buffer.clone() for buffer in self.buffers()]
            attends = attention.as_now()  # weights cast beforehand need no such thing: autocast casts them alike

            def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
                return nullcontext(), _as_they_were(self, before, attends) if before else attends

            return checkpoint(super().forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    Forgetful.__name__, Forgetful.__qualname__ = kind.__name__, kind.__qualname__
    Forgetful.__module__, Forgetful.__doc__ = kind.__module__, kind.__doc__
    return Forgetful


@contextlib.contextmanager
def _as_they_were(module: nn.Module, before: Sequence[Tensor], attends: AbstractContextManager[Any]) -> Iterator[None]:
    """Buffers as the forward pass found them, and then as it left them: those of batch norm must not move twice."""
    buffers = list(module.buffers())
    after = [buffer.clone() for buffer in buffers]
    try:
        _put(buffers, before)
        with attends:
            yield
    finally:
        _put(buffers, after)


def _put(buffers: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for buffer, value in zip(buffers, values, strict=True):
        buffer.data.copy_(value)  # to autograd, which may have kept it, nothing has changed
