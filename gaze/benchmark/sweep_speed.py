"""What a search takes beside its trials: the process that asks Optuna, the database, and the processes of trials."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gaze.benchmark.clock import Timing
from gaze.benchmark.result import Cost
from gaze.errors import UserError

AT_MOST = 0.15  # of the time of the trials
CONFIG = """
defaults:
  - _self_
  - override hydra/sweeper: gaze
  - override hydra/launcher: joblib
seconds: {seconds}
x: 0.0
seed: 0
study: nap
objectives: null
trial: null
trainer:
  mode: minimize
hydra:
  searchpath: [pkg://gaze.conf]
  sweep:
    dir: search
  launcher:
    n_jobs: {jobs}
  sweeper:
    n_trials: {trials}
    n_jobs: {jobs}
    params:
      x: interval(0.0, 1.0)
"""


def sweep(trials: int = 50, jobs: int = 2, seconds: float = 1.0) -> Cost:
    """A search with the sweeper of conf/hydra/sweeper/gaze.yaml and Hydra's joblib launcher, whose trials sleep.

    Raises:
        UserError: the search failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nap.yaml").write_text(CONFIG.format(trials=trials, jobs=jobs, seconds=seconds))
        words = ("-m", "gaze.benchmark.nap", "--config-dir", folder, "--config-name", "nap", "--multirun")
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        taken = time.perf_counter() - begun
    if done.returncode:
        raise UserError(f"the search of the benchmark failed: {done.stderr[-1000:]}")
    alone = trials * seconds / jobs
    return Cost(
        name=f"search, {trials} trials of {seconds:g} s, {jobs} at once",
        unit="trial",
        units=trials,
        seconds={"bare": Timing(alone, alone), "joblib": Timing(taken, taken)},
        most={"joblib": (1 + AT_MOST) * alone / trials},
    )
