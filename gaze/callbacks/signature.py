"""Writes down what goes into the model and what comes out: names, types and shapes."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gaze.callbacks.callback import Callback
from gaze.types import Record, collate

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Signature(Callback):
    """`signature.json` in the run directory; an axis that grows with the batch is -1."""

    @torch.no_grad()
    def fit_start(self, trainer: Trainer) -> None:
        if not trainer.hardware.runs_along:
            return
        trainer.model.eval()
        sides: dict[str, list[dict[str, Any]]] = {}
        one, two = [trainer.hardware.place(collate([trainer.val_set[0]] * n)).inputs for n in (1, 2)]
        sides["inputs"] = describe(one, two)
        sides["outputs"] = describe(trainer.model(one), trainer.model(two))
        if trainer.hardware.main:
            (trainer.run.path / "signature.json").write_text(json.dumps(sides, indent=2))


def describe(one: Record, two: Record) -> list[dict[str, Any]]:
    """Name, dtype and shape of each tensor of a record, given it for one sample and for two."""
    rows = []
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(two, f.name)
        if isinstance(a, Tensor):
            shape = [n if n == m else -1 for n, m in zip(a.shape, b.shape, strict=True)]
            rows.append({"name": f.name, "dtype": str(a.dtype).removeprefix("torch."), "shape": shape})
    return rows
