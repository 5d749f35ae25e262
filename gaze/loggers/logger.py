"""What every logger is: somebody who carries the journal of a run to where people look at it."""

from __future__ import annotations

from pathlib import Path


class Logger:
    """Carries a run directory to a tracker, in the background. This one carries it nowhere.

    There is no call per step: the trainer writes the journal, and a logger reads it from there.
    """

    def start(self, directory: Path, sweep: str | None = None) -> None:
        """Once, on the first rank, when the directory holds config.yaml, overrides.yaml and environment.json.

        Args:
            directory: of the run.
            sweep: name of the search that this run is a trial of.
        """

    def finish(self, status: str) -> None:
        """Once, when training is over: FINISHED, FAILED or KILLED. Returns in bounded time; never raises."""

    def review(self, folder: Path) -> None:
        """Once, when a search is over or stopped, with its directory; `study` in it holds what it found.

        Returns in bounded time; never raises.
        """
