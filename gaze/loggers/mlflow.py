"""Sends a run to MLflow, in the background and without ever being in the way of training."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from gaze.loggers import store
from gaze.loggers.courier import Orders
from gaze.loggers.ledger import Ledger
from gaze.loggers.logger import Logger
from gaze.loggers.masking import without_credentials
from gaze.loggers.study_courier import StudyOrders

log = logging.getLogger(__name__)


class MLflow(Logger):
    """A courier process that reads the journal and sends it, with config, pictures, environment and model.

    An unreachable or slow store costs nothing but one warning: what was not sent stays in the run
    directory, `tools/report.py` sends it later, and a resumed run goes on in the same MLflow run.

    Args:
        experiment: what the run is filed under.
        tracking_uri: an SQLite file (relative to the working directory), a server or another database.
            Name and password of a server are better given as MLFLOW_TRACKING_USERNAME and
            MLFLOW_TRACKING_PASSWORD: MLflow reads them itself.
        run_name: the name in the list of runs; None takes that of the directory.
        parent: name of the sweep that this run is a trial of.
        tags: further tags.
        artifacts: folder or URI for the files of a new experiment; None puts them beside the SQLite file,
            or leaves it to the server.
        interval_s: seconds between two deliveries.
        flush_s: seconds that `finish` waits at most.
        system_s: seconds between two samples of the machine's load; 0 takes none.
    """

    def __init__(
        self,
        experiment: str,
        tracking_uri: str = "sqlite:///outputs/mlflow.db",
        run_name: str | None = None,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        artifacts: str | None = None,
        interval_s: float = 10.0,
        flush_s: float = 60.0,
        system_s: float = 30.0,
    ) -> None:
        if interval_s <= 0 or flush_s < 0 or system_s < 0:
            raise ValueError(
                f"logger.interval_s, flush_s and system_s are {interval_s}, {flush_s} and {system_s}; "
                "expected seconds, the first above 0"
            )
        self.uri = store.resolved(tracking_uri)
        if self.uri.split(":")[0].partition("+")[0] in store.DATABASES and artifacts is None:
            raise ValueError(
                f"logger.tracking_uri is the database {without_credentials(self.uri)}, which keeps no files; "
                "give logger.artifacts a folder or URI for them, or name an MLflow server"
            )
        self.settings = {
            "tracking_uri": without_credentials(self.uri),
            "experiment": experiment,
            "run_name": run_name,
            "parent": parent,
            "tags": {str(key): str(value) for key, value in (tags or {}).items()},
            "artifacts": artifacts,
        }
        self.interval_s, self.flush_s, self.system_s = interval_s, flush_s, system_s
        self.directory: Path | None = None
        self._courier: subprocess.Popen[str] | None = None
        self._warned = False

    def start(self, directory: Path, sweep: str | None = None) -> None:
        """Send the courier off."""
        self.directory = Path(directory)
        self.settings["parent"] = self.settings["parent"] or sweep
        try:
            self._courier = subprocess.Popen(
                [sys.executable, "-m", "gaze.loggers.courier"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the log of MLflow's migrations
                text=True,
                start_new_session=True,  # Ctrl-C is for training, which then says how it ended
            )
        except OSError as error:
            self._warn(str(error))
            return
        self._listener = threading.Thread(target=self._listen, args=(self._courier,), daemon=True)
        self._listener.start()
        orders = Orders(
            str(self.directory.absolute()), self.uri, self.settings, os.getpid(), self.interval_s, self.system_s
        )
        self._say(self._courier, json.dumps(orders._asdict()))

    def finish(self, status: str) -> None:
        """Tell the courier how the run ended and wait, `flush_s` seconds at most, until it has delivered."""
        courier, self._courier = self._courier, None
        if courier is None:
            return
        self._say(courier, status, last=True)
        try:
            failed = courier.wait(self.flush_s) != 0
            self._listener.join(1.0)  # its own words, if it has any, are better than ours
            if failed:
                self._warn("not everything could be sent")
            elif self._warned:
                log.info("MLflow at %s has everything now", without_credentials(self.uri))
        except subprocess.TimeoutExpired:
            courier.kill()
            courier.wait()
            self._note_status(status)
            self._warn(f"not everything was sent within logger.flush_s={self.flush_s:g} seconds")

    def review(self, folder: Path) -> None:
        """Send what a search found to the sweep's run, `flush_s` seconds at most. It stays in the directory anyhow."""
        orders = StudyOrders(str(Path(folder).absolute()), self.uri, self.settings)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "gaze.loggers.study_courier"],
                input=json.dumps(orders._asdict()) + "\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the log of MLflow's migrations
                text=True,
                timeout=self.flush_s,
                start_new_session=True,
            )
            reason = "" if done.returncode == 0 else done.stdout.strip() or "not everything could be sent"
        except OSError as error:
            reason = str(error)
        except subprocess.TimeoutExpired:
            reason = f"not everything was sent within logger.flush_s={self.flush_s:g} seconds"
        if reason:
            log.warning(
                "MLflow at %s: %s. What the search found stays in %s; send it later by: "
                "python tools/report.py run=%s send=true",
                without_credentials(self.uri), reason.rstrip("."), Path(folder) / "study", folder,
            )  # fmt: skip

    def _note_status(self, status: str) -> None:
        """For a later delivery, if the courier was too busy to hear it."""
        assert self.directory is not None
        ledger = Ledger(self.directory)
        if ledger.status is None:
            ledger.status, ledger.ended = status, time.time()
            ledger.save()

    def _say(self, courier: subprocess.Popen[str], line: str, last: bool = False) -> None:
        assert courier.stdin is not None
        with contextlib.suppress(OSError):  # it is dead; `finish` sees that and warns
            courier.stdin.write(line + "\n")
            courier.stdin.flush()
            if last:
                courier.stdin.close()

    def _listen(self, courier: subprocess.Popen[str]) -> None:
        assert courier.stdout is not None
        with courier.stdout as lines:
            for line in lines:
                self._warn(line.strip())

    def _warn(self, reason: str) -> None:
        """One warning per run."""
        if self._warned:
            return
        self._warned = True
        log.warning(
            "MLflow at %s: %s. Training goes on; the figures stay in %s, and what is missing is sent again from time "
            "to time, or later by: python tools/report.py run=%s send=true",
            without_credentials(self.uri), reason.rstrip("."), self.directory, self.directory,
        )  # fmt: skip
