"""Where MLflow and Optuna keep what they are told: is it there, of a version that they read, and free?

Databases are opened for reading, and never brought to another version.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, warning
from gaze.doctor.machine import writable_parent
from gaze.loggers.masking import without_credentials
from gaze.loggers.store import SERVERS, SQLITE, database, resolved

PATIENCE_S = 3
JOURNALS = ("-journal", "-wal")  # of SQLite, beside a database
WHO = ("USERNAME", "PASSWORD", "TOKEN")  # of MLflow's variables
MIGRATIONS = {"mlflow": "store/db_migrations/versions", "optuna": "storages/_rdb/alembic/versions"}
UPGRADE = {"mlflow": "mlflow db upgrade {uri}", "optuna": "optuna storage upgrade --storage {uri}"}
CHECKED_BYTES = 200e6  # of a database whose pages are all looked at


def mlflow(case: Case) -> Iterator[Finding]:
    """The store that the config's logger writes to."""
    node = case.value("logger") or {}
    uri = str(node.get("tracking_uri") or ("" if case.config is not None else "sqlite:///outputs/mlflow.db"))
    if not uri:
        return
    try:
        uri = resolved(uri)
    except ValueError as error:
        yield problem("MLflow", said(error))
        return
    if urlsplit(uri).scheme in SERVERS:
        yield server(uri)
    elif uri.startswith(SQLITE):
        file = database(uri)
        if file.is_file():
            yield from sqlite_file("MLflow", "mlflow", file, uri)
        elif os.access(writable_parent(str(file.parent)), os.W_OK):
            yield ok("MLflow", f"{file} is made by the first run")
        else:
            yield problem("MLflow", f"{file} can't be made there; choose another by logger.tracking_uri=sqlite:///FILE")
    else:
        yield from remote_database("MLflow", "mlflow", uri)


def optuna(case: Case) -> Iterator[Finding]:
    """The study of the sweep that was named, or of the one that the config describes."""
    uri = case.value("hydra.sweeper.storage")
    folder = case.run or case.value("hydra.sweep.dir")
    file = None if folder is None else Path(str(folder)) / "study.db"
    if case.run is not None and file is not None and not file.is_file():  # a trial, whose study is beside it
        file = case.run.parent / "study.db"
    if isinstance(uri, str) and uri.startswith(SQLITE) and case.run is None:
        file = database(uri)
    elif isinstance(uri, str) and "://" in uri and not uri.startswith(SQLITE):
        yield from remote_database("Optuna", "optuna", uri)
        return
    if file is None or not file.is_file():
        return
    found = list(sqlite_file("Optuna", "optuna", file, f"{SQLITE}{file.absolute()}"))
    yield from found
    if not any(finding.level.value == "problem" for finding in found):
        yield from trials(file)


def trials(file: Path) -> Iterator[Finding]:
    """How the trials of a study ended; those that seem to run may be left from a kill."""
    if interrupted(file) is not None and file.stat().st_size > CHECKED_BYTES:
        return
    with _reading(file) as opened:
        rows = opened.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall()
    counts = {str(state).lower(): count for state, count in rows}
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no trials"
    if counts.get("running"):
        yield warning(
            "trials", f"{told}; if no sweep works on them now, the command of the sweep, given again, runs them on"
        )
    else:
        yield ok("trials", told)


def server(uri: str) -> Finding:
    """Does an MLflow server answer?"""
    shown = without_credentials(uri)
    if not uri.startswith("http"):
        return ok("MLflow", f"{shown} is not looked at: it is reached by a client of its own")
    try:
        asked = Request(f"{shown.rstrip('/')}/health", headers=credentials(uri))
        with urlopen(asked, timeout=PATIENCE_S) as answer:
            fine = answer.status == 200
    except HTTPError as error:
        what = "refuses us: give MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        if error.code not in (401, 403):
            what = f"is not well (it answers {error.code}); look at its log"
        return warning("MLflow", f"{shown} {what}")
    except (OSError, ValueError, HTTPException) as error:
        return warning(
            "MLflow",
            f"{shown} does not answer ({said(error, 120)}); figures wait in the run directory: start it, or logger=none",
        )
    return ok("MLflow", f"{shown} answers") if fine else warning("MLflow", f"{shown} is not well; look at its log")


def credentials(uri: str) -> dict[str, str]:
    """The header by which MLflow's client says who asks: from the address, or from its own variables."""
    held, name, password, token = urlsplit(uri), *(os.environ.get(f"MLFLOW_TRACKING_{word}") for word in WHO)
    if held.username:
        name, password = unquote(held.username), unquote(held.password or "")
    if name:
        both = f"{name}:{password or ''}"
        return {"Authorization": f"Basic {b64encode(both.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def sqlite_file(about: str, package: str, file: Path, uri: str) -> Iterator[Finding]:
    """Is the file whole, of the installed version, writable and not held by somebody for long?"""
    left = interrupted(file)
    if left is not None:
        yield warning(
            about,
            f"{left.name} beside {file} is left from a kill; the next run repairs it: don't move or delete either",
        )
        if file.stat().st_size + left.stat().st_size > CHECKED_BYTES:
            return
    try:
        with _reading(file) as opened:
            revisions = [str(row[0]) for row in opened.execute("SELECT version_num FROM alembic_version")]
            if file.stat().st_size < CHECKED_BYTES:
                (state,) = opened.execute("PRAGMA quick_check(1)").fetchone()
                if state != "ok":
                    yield problem(about, f"{file} is damaged ({state}); restore a copy, or move it away")
                    return
    except sqlite3.OperationalError as error:
        if "lock" in str(error):
            yield warning(about, f"{file} is locked by another process ({error}); end it if it hangs: fuser {file}")
        elif left is None and "no such table" in str(error):
            yield problem(about, f"{file} is not a store of {package} ({error}); move it away, and a new one is made")
        elif left is None:
            yield problem(about, f"{file} can't be read ({error}); look at its disk, owner and mode")
        return
    except sqlite3.DatabaseError as error:
        if left is not None:
            yield problem(about, f"{file} would be damaged after that, too ({error}); restore a copy of both files")
            return
        yield problem(about, f"{file} is damaged ({error}); restore a copy, or move it away, and a new one is made")
        return
    if trouble := outdated(package, revisions, uri):
        yield problem(about, f"{file}: {trouble}")
    elif not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        yield problem(about, f"{file} and its folder must be writable; change their owner or mode")
    elif left is None and held(file):
        yield warning(
            about, f"{file} is being written to for more than {PATIENCE_S} s; end the process if it hangs: fuser {file}"
        )
    else:
        yield ok(about, f"{file} can be written to, its tables are up to date")


def remote_database(about: str, package: str, uri: str) -> Iterator[Finding]:
    """Does a database server answer, and are its tables those of the installed version?"""
    from sqlalchemy import create_engine, text

    shown = without_credentials(uri)
    secret = uri.partition("://")[2].removesuffix(shown.partition("://")[2]).removesuffix("@")
    if re.search(r"[@/?#\s]", secret):  # drivers would take a part of it for the host, and repeat it
        yield problem(about, f"{shown}: the password before it holds signs such as @ and /; write them as %40 and %2F")
        return
    options: dict[str, Any] = {"connect_timeout": PATIENCE_S} if uri.startswith(("postgresql", "mysql")) else {}
    try:
        engine = create_engine(uri, connect_args=options)
        with engine.connect() as connection:
            revisions = [str(row[0]) for row in connection.execute(text("SELECT version_num FROM alembic_version"))]
    except Exception as error:  # each driver has its own, and it may be missing
        yield problem(about, f"{shown} can't be read ({hidden(error, uri, secret)}); start it, or correct the address")
        return
    trouble = outdated(package, revisions, shown)
    yield problem(about, f"{shown}: {trouble}") if trouble else ok(about, f"{shown} answers, its tables are up to date")


def hidden(error: BaseException, uri: str, secret: str) -> str:
    """What a driver says, without the password."""
    text = " ".join(str(error).split()).replace(uri, without_credentials(uri))
    password = secret.partition(":")[2]
    for word in filter(None, (secret, password, unquote(password))):
        text = text.replace(word, "***")
    return text[:160] or type(error).__name__


def outdated(package: str, revisions: list[str], uri: str) -> str | None:
    """Why the installed package can't use a database of these revisions; None: it can."""
    known, newest = migrations(package)
    if not newest or set(revisions) == newest:
        return None
    if not set(revisions) <= known:
        return f"its tables were made by a newer {package}: pip install -U {package}"
    return f"its tables are of an older {package}: copy it, then {UPGRADE[package].format(uri=uri)}"


def migrations(package: str) -> tuple[set[str], set[str]]:
    """All versions of tables that an installed package knows, and the newest; read as text, so that nothing is imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return set(), set()
    folder = Path(spec.submodule_search_locations[0]) / MIGRATIONS[package]
    known: set[str] = set()
    older: set[str] = set()
    for file in folder.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for name, found in (("revision", known), ("down_revision", older)):
            if line := re.search(rf"^{name}\b[^=]*=\s*[\"']([^\"']+)[\"']", text, re.MULTILINE):
                found.add(line[1])
    return known, known - older


def held(file: Path) -> bool:
    """Does somebody else write to it, all the time? Nothing is changed: what is begun is rolled back."""
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE_S, isolation_level=None)) as opened:
        try:
            opened.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        opened.execute("ROLLBACK")
    return False


def interrupted(file: Path) -> Path | None:
    """The journal of a transaction that a kill cut off, without which the database is damaged; None if there is none."""
    left = next((path for end in JOURNALS if (path := file.with_name(file.name + end)).is_file()), None)
    if left is None or not left.stat().st_size:
        return None
    try:
        with closing(_connected(file)) as opened:
            opened.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else left  # repairing it needs the right to write
    return None  # of who writes at this moment


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    """The database, read only; with a transaction that was cut off, a repaired copy of it."""
    if interrupted(file) is None:
        with closing(_connected(file)) as opened:
            yield opened
        return
    with TemporaryDirectory() as folder:
        for path in (file, *(file.with_name(file.name + end) for end in JOURNALS)):
            if path.is_file():
                shutil.copyfile(path, Path(folder) / path.name)
        with closing(sqlite3.connect(Path(folder) / file.name, timeout=PATIENCE_S)) as opened:
            yield opened


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)
