"""Writes one page about runs, or sends them to MLflow:  python tools/report.py run=outputs/gazelle_small [send=true]"""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from gaze.explain import explained
from gaze.trusted import TRUSTED


@hydra.main(config_path="pkg://gaze.conf", config_name="report", execution_whitelist=[*TRUSTED, "hydra.*"])
@explained
def main(cfg: DictConfig) -> None:
    """Review searches that were killed before they could, then send or describe all there is."""
    from gaze.loggers.resend import resend, resend_study
    from gaze.reports.report import write_report
    from gaze.reports.runs import find_runs
    from gaze.sweeps.review import find_sweeps, refresh

    path = Path(cfg.run)
    sweeps = find_sweeps(path) if path.is_dir() else []
    for sweep in sweeps:
        refresh(sweep)
    if cfg.send:
        for run in find_runs(path):
            print(resend(run, cfg.tracking_uri), flush=True)
        for sweep in sweeps:
            print(resend_study(sweep, cfg.tracking_uri), flush=True)
        return
    print(write_report(path, Path(cfg.out) if cfg.out else None, cfg.format, cfg.pictures, cfg.shown))


if __name__ == "__main__":
    main()
