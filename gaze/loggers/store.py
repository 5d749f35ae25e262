"""Where MLflow keeps runs: the embedded SQLite database, another database, or a server."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DATABASES = ("postgresql", "mysql", "mssql")
SERVERS = ("http", "https", "databricks", "uc")
LOCK_S = 120.0  # the migrations of a new database take about 5 s, on a busy machine much longer

# Our own loop repeats what failed; MLflow's, with its defaults, blocks for minutes in each call.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def resolved(uri: str) -> str:
    """The URI with an absolute path, so that it means the same from any directory.

    Raises:
        ValueError: MLflow can't keep runs there.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in DATABASES or scheme in SERVERS:
        return uri
    if uri.startswith(SQLITE) and len(uri) > len(SQLITE):
        return SQLITE + str(database(uri).absolute())
    raise ValueError(
        f"logger.tracking_uri is {uri!r}; expected sqlite:///a/file.db, http://a.server:5000 or a database such as "
        "postgresql://…; MLflow no longer keeps runs in plain folders, so use sqlite:///outputs/mlflow.db"
    )


def database(uri: str) -> Path:
    """The file of an SQLite URI."""
    return Path(uri[len(SQLITE) :].partition("?")[0])


def artifact_location(uri: str, artifacts: str | None, experiment: str) -> str | None:
    """Where the files of a new experiment go; None leaves it to the server."""
    folder = re.sub(r"[^\w\-.]", "_", experiment) or "_"
    if artifacts is not None:
        root = artifacts if "://" in artifacts else Path(artifacts).absolute().as_uri()
        return f"{root.rstrip('/')}/{folder}"
    if uri.startswith(SQLITE):
        # Said explicitly, since MLflow's default is a folder in whatever directory the process runs.
        return (database(uri).parent / "mlartifacts" / folder).absolute().as_uri()
    return None


def connect(uri: str) -> MlflowClient:
    """A client of an existing store, or of a new SQLite database with its tables made.

    Processes that make the tables at the same time break each other, so they take turns.
    To be called in processes of ours only: it sets MLflow's environment variables and quiets its log.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not uri.startswith(SQLITE):
        return MlflowClient(tracking_uri=uri)
    from filelock import FileLock

    file = database(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock", timeout=LOCK_S):
        if not file.exists():
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            # Made here, since MLflow would put the files of its experiment "Default" into the working directory.
            SqlAlchemyStore(uri, (file.parent / "mlartifacts").as_uri())
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)  # the first call makes the tables
    return client
