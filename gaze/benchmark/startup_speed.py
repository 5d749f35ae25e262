"""What a person waits for the command line to answer: whole processes, beside Python's and Hydra's own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial

import torch

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Cost

COMMANDS = {
    "bare": ("-c", "pass"),
    "import hydra": ("-c", "import hydra"),
    "import gaze.train": ("-c", "import gaze.train"),
    "train --help": ("-m", "gaze.train", "--help"),
    "train --cfg job": ("-m", "gaze.train", "model=gazelle_small", "--cfg", "job"),
}
MOST_S = {"train --help": 1.0, "train --cfg job": 1.5}


def startup(rounds: int) -> Cost:
    """Processes one after the other, from their start to their end."""
    with tempfile.TemporaryDirectory() as folder:
        calls = {name: partial(_run, words, folder) for name, words in COMMANDS.items()}
        seconds = interleaved(calls, rounds, torch.device("cpu"), wall=True)
    return Cost("start of a process", "process", 1, seconds, MOST_S)


def _run(words: tuple[str, ...], folder: str) -> None:
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True)
