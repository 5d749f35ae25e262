"""Examines this machine, and a run before it starts:  python -m gaze.doctor model=gazelle_small"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

HELP = """Will a run work here? Checks the machine, the installation and a run, and says what to do.

  python -m gaze.doctor                                                      the machine and the installation
  python -m gaze.doctor model=gazelle_dinov3 trainer.batch_size=64           this run; overrides as for gaze.train
  python -m gaze.doctor model=gazelle_dinov3 trainer.amp=true memory_gb=24   does it fit into that GPU?
  python -m gaze.doctor run=outputs/NAME/DATE                                a run or a sweep that exists
  python -m gaze.doctor run=outputs/NAME/DATE model=... trainer.epochs=20    would it go on with this config?

Its own keys: run, memory_gb, samples (read of the training split), seconds (most that the estimate of memory takes),
json=true (one JSON object). Nothing is trained, downloaded, migrated or left behind. Exit code 1: there is a problem.
"""
FLAGS = ("-m", "--multirun")  # so that the command of a sweep can be examined as it is


def main() -> NoReturn:
    """The console script: examine what the command line says, and exit with 1 if there is a problem."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Examine what overrides say, print it, and return the exit code: 0, 1 for a problem, 2 for a wrong command line."""
    if {"-h", "--help"} & set(words):
        print(HELP)
        return 0
    wrong = [word for word in words if word.startswith("-") and word not in FLAGS]
    if wrong:
        print(f"unknown option {wrong[0]}; expected KEY=VALUE, as for python -m gaze.train, or --help", file=sys.stderr)
        return 2
    from gaze.doctor.composition import case_of
    from gaze.doctor.findings import examine
    from gaze.doctor.order import CHECKS
    from gaze.doctor.printing import show
    from gaze.errors import UserError

    try:
        case, as_json = case_of([word for word in words if word not in FLAGS])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return show(examine(case, CHECKS), as_json)


if __name__ == "__main__":
    main()
