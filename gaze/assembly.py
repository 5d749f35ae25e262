"""The trainer of a config, from parts that are there and parts that the config names."""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig
from torch import nn

from gaze.callbacks.callback import Callback
from gaze.hardware import Hardware
from gaze.losses.objective import Objective
from gaze.runs import Run, build, chosen
from gaze.trainer import Trainer


def assembled(
    config: DictConfig, run: Run, hardware: Hardware, model: nn.Module, callbacks: Mapping[str, Callback]
) -> Trainer:
    """The trainer of `model`, which `hardware` has settled, with the rest as the config of a training run says.

    Raises:
        ValueError, UserError: what the constructors of the parts raise.
    """
    trainer: Trainer = build(config.trainer)(
        run=run,
        hardware=hardware,
        seed=config.seed,
        model=model,
        objective=Objective(chosen(config, "loss")),
        metrics=chosen(config, "metric"),
        optimizer=build(config.optimizer)(model=model),
        schedule=build(config.schedule),
        train_set=build(config.dataset)(split="train"),
        val_set=build(config.val_dataset or config.dataset)(split="val"),
        callbacks=callbacks,
    )
    return trainer
