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
    """Find the runs, then send or describe them."""
    from gaze.loggers.resend import resend
    from gaze.report import find_runs, write_page

    runs = find_runs(Path(cfg.run))
    if cfg.send:
        for run in runs:
            print(resend(run, cfg.tracking_uri), flush=True)
        return
    out = Path(cfg.out or Path(cfg.run) / "report.html")
    write_page(runs, out, pictures=cfg.pictures)
    print(f"{len(runs)} run{'s' if len(runs) > 1 else ''}: {out}")


if __name__ == "__main__":
    main()
