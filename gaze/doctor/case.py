"""What the doctor is asked about: a config, a run directory, or this machine alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from torch import nn

    from gaze.datasets.dataset import Dataset
    from gaze.types import Batch

LABELS_ONLY = "labels"  # of `dataset.check`: looking at every picture takes minutes, which a run will do itself


@dataclass
class Case:
    """A config and what is built from it, once, when the first check asks.

    Args:
        config: of a training run, composed; None: the machine and the installation only.
        hydra: the same with the part that Hydra keeps for itself, which names the study of a search.
        trouble: what went wrong when it was composed.
        overrides: that led to it.
        run: directory of a run or a sweep that exists.
        memory_gb: of the GPU to fit into, in place of the one that is here.
        samples: that are read from each split.
        seconds: most that the estimate of memory may take.
    """

    config: DictConfig | None = None
    hydra: DictConfig | None = None
    trouble: Sequence[str] = ()
    overrides: Sequence[str] = ()
    run: Path | None = None
    memory_gb: float | None = None
    samples: int = 3
    seconds: float = 20.0
    seconds_each: float = 0.0  # that an example took to be read
    failures: dict[str, str] = field(default_factory=dict)  # what could not be built, and why

    def value(self, key: str, otherwise: Any = None) -> Any:
        """A plain value of the config, or of Hydra's part of it by `hydra.…`; `otherwise` where there is none."""
        whole = self.hydra if key.startswith("hydra.") else self.config
        try:
            found = None if whole is None else OmegaConf.select(whole, key)
            if OmegaConf.is_config(found):
                found = OmegaConf.to_container(found, resolve=True)
        except OmegaConfBaseException:
            return otherwise
        return otherwise if found is None else found

    @cached_property
    def sound(self) -> bool:
        """Is there a config, and can it be built as far as its signatures say?"""
        from gaze.runs import ConfigError, check_stack

        if self.config is None:
            return False
        try:
            check_stack(self.config)
        except ConfigError as error:
            self.failures["config"] = str(error)
            return False
        return True

    @cached_property
    def model(self) -> nn.Module | None:
        """The model as its constructors make it, without the weights that they would read; None if that fails."""
        from gaze.runs import build, plain_config, without_weights

        if not self.sound or self.config is None:
            return None
        try:
            made: nn.Module = build(OmegaConf.create(without_weights(plain_config(self.config.model))))
        except Exception as error:  # constructors raise what they like
            self.failures["model"] = str(error)
            return None
        return made

    @cached_property
    def splits(self) -> Mapping[str, Dataset]:
        """The training and the validation split, of those that can be opened."""
        if not self.sound or self.config is None:
            return {}
        nodes = {"train": self.config.dataset, "val": self.config.val_dataset or self.config.dataset}
        found = {split: self._split(split, node) for split, node in nodes.items() if node is not None}
        return {split: data for split, data in found.items() if data is not None}

    @cached_property
    def examples(self) -> list[Batch[Any, Any]]:
        """A few augmented samples of the training split; none if it can't be read."""
        import torch

        data = self.splits.get("train")
        if data is None or not len(data):
            return []
        rows = sorted({round(i * (len(data) - 1) / max(self.samples - 1, 1)) for i in range(self.samples)})
        order, found, began = torch.Generator().manual_seed(0), [], time.monotonic()
        for row in rows:
            try:
                found.append(data.in_epoch(row, torch.Generator().manual_seed(row), order))
            except Exception as error:
                self.failures["examples"] = f"{data.name(row)} can't be read: {error}"
                return []
        self.seconds_each = (time.monotonic() - began) / len(found)
        return found

    def _split(self, split: str, node: DictConfig) -> Dataset | None:
        from gaze.runs import build, plain_config

        plain = plain_config(node)
        if isinstance(plain.get("check"), str):
            plain["check"] = LABELS_ONLY
        try:
            opened: Dataset = build(OmegaConf.create(plain))(split=split)
        except Exception as error:
            self.failures[split] = str(error)
            return None
        return opened
