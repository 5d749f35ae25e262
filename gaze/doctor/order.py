"""All checks, by group, in the order in which they are made and shown."""

from __future__ import annotations

from gaze.doctor import (
    accelerators,
    data,
    directories,
    fit,
    installation,
    machine,
    stack,
    stores,
    surroundings,
    weights,
)
from gaze.doctor.findings import Check

CHECKS: dict[str, tuple[Check, ...]] = {
    "installation": (
        installation.python_version,
        installation.packages,
        installation.known_flaws,
        installation.torch_pair,
        installation.operators,
        installation.extras,
        installation.needed_extras,
    ),
    "accelerator": (accelerators.match,),
    "config": (stack.composed, stack.mistakes, stack.parts, stack.search),
    "data": (data.root, data.splits, stack.batches),
    "weights": (weights.pretrained, weights.other_runs),
    "run": (directories.directory, directories.changes),
    "machine": (machine.processor, machine.memory, machine.shared_memory, machine.disk, machine.open_files),
    "device memory": (fit.recomputed, fit.estimate, fit.measured),
    "stores": (stores.mlflow, stores.optuna),
    "environment": (
        surroundings.replicas,
        surroundings.variables,
        surroundings.encoding,
        surroundings.clock,
    ),
}
