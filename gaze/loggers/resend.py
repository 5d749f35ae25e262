"""Sends to MLflow what is still missing of a run or a search that is over."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gaze.errors import UserError
from gaze.loggers import store
from gaze.loggers.delivery import Delivery
from gaze.loggers.description import document
from gaze.loggers.ledger import LOCK, Ledger
from gaze.loggers.masking import masked, without_credentials
from gaze.loggers.study import StudyDelivery, settings_of
from gaze.sweeps.review import FOLDER

DEFAULT_URI = "sqlite:///outputs/mlflow.db"


def resend(directory: Path, tracking_uri: str | None = None) -> str:
    """Sends what is missing and returns a sentence on what that was.

    Args:
        directory: of the run.
        tracking_uri: another store than the run was trained with.

    Raises:
        UserError: the run is still being sent by its own process, or the store can't be reached.
        ValueError: the URI is not one of a store.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(Path(directory) / LOCK, timeout=0.0):
            return _send(Path(directory), tracking_uri)
    except Timeout:
        raise UserError(f"{directory}: the process that trains this run is sending it; wait for its end") from None


def resend_study(folder: Path, tracking_uri: str | None = None) -> str:
    """Sends what is missing of what a search found, and returns a sentence on what that was.

    Args:
        folder: of a sweep that was reviewed.
        tracking_uri: another store than its trials were sent to.

    Raises:
        UserError: another process is sending it, or the store can't be reached.
        ValueError: the URI is not one of a store.
    """
    from filelock import FileLock, Timeout

    place = Path(folder) / FOLDER
    try:
        with FileLock(place / LOCK, timeout=0.0):
            ledger = Ledger(place)
            ledger.settings = {"experiment": Path(folder).absolute().parent.name} | (
                ledger.settings or settings_of(Path(folder))
            )
            uri = store.resolved(tracking_uri or ledger.settings.get("tracking_uri") or DEFAULT_URI)
            try:
                files = StudyDelivery(Path(folder), ledger, uri).send()
            except Exception as error:  # MLflow has no common class for a store that is away
                raise _refused(Path(folder), uri, error) from error
            return f"{folder}: sent its review, {files} new files, to the sweep's run at {without_credentials(uri)}"
    except Timeout:
        raise UserError(f"{folder}: another process is sending this search; wait for its end") from None


def _refused(directory: Path, uri: str, error: Exception) -> UserError:
    reason = " ".join(masked(str(error)).split())[:300]
    return UserError(
        f"MLflow at {without_credentials(uri)} did not take {directory}: {reason}. What it took is noted; start the "
        "server and send again, or give tracking_uri=… of another store"
    )


def _send(directory: Path, tracking_uri: str | None) -> str:
    ledger = Ledger(directory)
    config = document(directory / "config.yaml") or {}
    defaults = {"experiment": str(config.get("name") or directory.absolute().parent.name)}
    if ledger.status is None:
        # Nobody holds the lock and nobody said goodbye: the process was killed, or had another logger.
        ledger.status, ledger.ended = ("KILLED" if ledger.settings else "FINISHED"), _last_sign(directory)
    ledger.settings = defaults | (ledger.settings or _asked_for(config))
    uri = store.resolved(tracking_uri or ledger.settings.get("tracking_uri") or DEFAULT_URI)
    delivery = Delivery(directory, ledger, uri)
    try:
        sent = delivery.send(ledger.status)
    except Exception as error:  # MLflow has no common class for a store that is away
        raise _refused(directory, uri, error) from error
    where = f"run {delivery.run_id} of experiment {ledger.settings['experiment']!r} at {without_credentials(uri)}"
    if not any(sent):
        return f"{directory}: nothing was missing in {where}"
    return f"{directory}: sent {sent.points} points and {sent.files} files to {where}"


def _asked_for(config: dict[str, Any]) -> dict[str, Any]:
    """What the config of a run says of its logger, if that was this one."""
    logger = dict(config.get("logger") or {})
    if "tracking_uri" not in logger:
        return {}
    asked = {key: logger[key] for key in ("experiment", "run_name", "parent", "artifacts") if logger.get(key)}
    return asked | {"tracking_uri": without_credentials(logger["tracking_uri"])}


def _last_sign(directory: Path) -> float:
    """When the journal was written last, seconds since 1970."""
    journal = directory / "metrics.jsonl"
    return journal.stat().st_mtime if journal.exists() else time.time()
