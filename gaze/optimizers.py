"""Optimizers over named groups of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.optim import SGD, Optimizer

OPTIONS = ("lr", "weight_decay")  # what a schedule may multiply


def grouped(
    model: nn.Module,
    optimizer: Callable[..., Optimizer],
    overrides: Mapping[str, Mapping[str, float]] | None = None,
    undecayed: Sequence[str] = (),
) -> Optimizer:
    """An optimizer over every parameter of `model`, frozen ones too, so that thawing never touches it.

    Args:
        model: what to train.
        optimizer: makes the optimizer from parameter groups; its own options are the defaults.
        overrides: glob over parameter names, or the name of a module -> options such as lr and weight_decay.
            All that match a parameter apply, in their order, so a later one refines an earlier one.
        undecayed: globs over parameter names that are not to shrink, and that may match nothing. Give any, and vectors
            (biases, scales and shifts of norms) don't shrink either.

    Raises:
        ValueError: a glob matches no parameter; the message lists the modules.
    """
    overrides = overrides or {}
    names = [name for name, _ in model.named_parameters()]
    for pattern in overrides:
        if not any(matches(name, pattern) for name in names):
            raise ValueError(
                f"optimizer.overrides: {pattern!r} matches no parameter of the model. Modules: {', '.join(modules(model))}"
            )
    groups: dict[tuple[tuple[str, float], ...], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        kept = bool(undecayed) and (parameter.dim() <= 1 or any(matches(name, pattern) for pattern in undecayed))
        options: dict[str, float] = {"weight_decay": 0.0} if kept else {}
        for pattern, settings in overrides.items():
            if matches(name, pattern):
                options.update(settings)
        groups.setdefault(tuple(sorted(options.items())), []).append(parameter)
    made = optimizer([{"params": parameters, **dict(options)} for options, parameters in groups.items()])
    for group in made.param_groups:
        for option in OPTIONS:
            if option in group:
                group[f"base_{option}"] = group[option]
    if isinstance(made, SGD):
        made.register_step_pre_hook(begin_momentum)
    return made


def begin_momentum(optimizer: Optimizer, *_: object) -> None:
    """Give what a fused SGD is to update for the first time a momentum of 0: without dampening torch's own first step.

    Torch leaves that to the kernel. It writes none where the step is left out, so the next one reads memory that nobody
    filled; and it takes no group in which some parameters have one, as after a thaw.
    """
    for group in optimizer.param_groups:
        if not group["fused"] or not group["momentum"]:
            continue
        for parameter in group["params"]:
            if parameter.grad is not None and optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.grad)


def matches(name: str, pattern: str) -> bool:
    """Does a glob, or the name of a module, name this parameter?"""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def modules(model: nn.Module, depth: int = 2) -> list[str]:
    """Names of the modules that hold parameters, down to `depth` levels, as globs would name them."""
    found = dict.fromkeys(".".join(name.split(".")[:-1][:depth]) or name for name, _ in model.named_parameters())
    return list(found)
