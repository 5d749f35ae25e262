"""Trains one run:  python -m gaze.train model=gazelle_small"""

from __future__ import annotations

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gaze.explain import explained
from gaze.sweeps.sweeper import register
from gaze.trusted import TRUSTED

register()


@hydra.main(config_path="pkg://gaze.conf", config_name="train", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> float | tuple[float, ...]:
    """Build what the config names, train it, and return the best of the monitored figure, or `objectives`, for Optuna.

    Weights come from the first of: the last checkpoint in the run's own directory, when it was
    interrupted; `init`; the constructors.
    """
    import torch

    from gaze.assembly import assembled
    from gaze.environment import code
    from gaze.provenance import provenance
    from gaze.replicas import check_same, only_warn
    from gaze.runs import Run, build, check_stack, chosen, plain_config, without_weights
    from gaze.sweeps.trials import check_objectives, returned, trial_callbacks

    with open_dict(cfg):
        cfg.dir = HydraConfig.get().runtime.output_dir
    check_stack(cfg)
    hardware = build(cfg.hardware)
    if not hardware.main:
        only_warn(hardware.rank)
    run = Run(cfg.dir, main=hardware.main)
    with hardware.joined(), run.locked():
        check_same("code, directory or config", lambda: {**code(), **plain_config(cfg)})
        run.open(cfg, HydraConfig.get().overrides.task, cfg.resume.allow)
        torch.manual_seed(cfg.seed)  # the same first weights on every replica
        overwritten = run.started and not run.last.left_out()
        model = build(without_weights(plain_config(cfg.model)) if overwritten else cfg.model)
        if cfg.init is not None and not run.started:
            build(cfg.init)(model)
        model = hardware.settle(model)
        trainer = assembled(cfg, run, hardware, model, chosen(cfg, "callback") | trial_callbacks(cfg))
        check_objectives(cfg.objectives, trainer)
        found = provenance(model, {"train": trainer.train_set, "val": trainer.val_set})
        check_same("what they found to train from", lambda: found)
        run.made_from(found, cfg.resume.allow)
        with run.logged(build(cfg.logger), sweep_name()):
            best = trainer.fit()
    return returned(best, cfg.trainer.monitor, cfg.objectives)


def sweep_name() -> str | None:
    """The name of the search that this run is a trial of; None outside of one."""
    hydra_config = HydraConfig.get()
    return Path(hydra_config.sweep.dir).name if hydra_config.mode == RunMode.MULTIRUN else None


if __name__ == "__main__":
    main()
