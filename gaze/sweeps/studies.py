"""Studies: where they are kept, whose they are, and what must not change while they go on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaze.durable import write_text
from gaze.errors import UserError
from gaze.holders import hold
from gaze.loggers.masking import masked, without_credentials

if TYPE_CHECKING:
    import optuna

FILE = "study.db"
SQLITE = "sqlite:///"
OWNER = ".owner"
ASKED = "gaze"  # the attribute of a study that says what was asked for
PRUNED = "pruned"  # the attribute of a trial that ended early: after which epoch
BUSY_S = 60  # how long a write to SQLite waits for that of another process


class SweepError(UserError, RuntimeError):
    """A search cannot begin, or cannot go on."""


def storage_url(storage: str | None, folder: str | Path) -> str:
    """Where the study of the sweep in `folder` is kept; an SQLite file as an absolute path."""
    if storage is None:
        return f"{SQLITE}{Path(folder).absolute() / FILE}"
    if storage.startswith(SQLITE):
        return f"{SQLITE}{Path(storage.removeprefix(SQLITE)).absolute()}"
    return storage


def open_storage(url: str, make: bool = False) -> optuna.storages.RDBStorage:
    """The database of studies.

    Args:
        make: its tables, where there are none.

    Raises:
        SweepError: it cannot be reached, or a package for it is missing.
    """
    import optuna

    waits = {"connect_args": {"timeout": BUSY_S}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=waits, skip_table_creation=not make)
    except Exception as error:  # SQLAlchemy's, the driver's, or a missing driver's
        reason = masked(str(error).splitlines()[0]).replace(url, without_credentials(url))
        raise SweepError(
            f"the study's database {without_credentials(url)} cannot be opened: {reason}. "
            "Set hydra.sweeper.storage to one that can, or to null for a file in the folder of the sweep"
        ) from error


def open_study(storage: str, name: str) -> optuna.Study:
    """A study that exists, for reading.

    Raises:
        SweepError: there is none of that name, or no such database.
    """
    import optuna

    if storage.startswith(SQLITE) and not Path(storage.removeprefix(SQLITE)).is_file():
        raise SweepError(f"there is no study: {storage.removeprefix(SQLITE)} does not exist; run its sweep first")
    kept = open_storage(storage)
    try:
        # Who only reads has nothing to sample, and an unseeded sampler costs nothing to make.
        return optuna.load_study(study_name=name, storage=kept, sampler=optuna.samplers.RandomSampler())
    except KeyError as error:
        names = ", ".join(summary.study_name for summary in optuna.get_all_study_summaries(kept)) or "none"
        raise SweepError(f"{without_credentials(storage)} has no study {name!r}; it has {names}") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a sweep: a second search that wants to go on here fails at once.

    Raises:
        SweepError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, SweepError, "begin another search with study=NAME"):
        yield


def owner(folder: Path) -> str:
    """What the folder of a sweep is called in its study. Several sweeps may share a study; a trial's files lie in one."""
    file = folder / OWNER
    if not file.exists():
        write_text(file, uuid.uuid4().hex)
    return file.read_text()


def check_asked(study: optuna.Study, asked: Mapping[str, Any], folder: Path, allow: tuple[str, ...]) -> None:
    """Write down what a new study was asked for, or check that it is what was asked for the first time.

    Args:
        asked: the search space, sampler, directions, objectives and config, as plain values.
        allow: keys of the config that may differ.

    Raises:
        SweepError: the differences are listed.
    """
    now = json.loads(masked(json.dumps(asked, default=str)))
    before = study.user_attrs.get(ASKED)
    if before is None:
        if study.get_trials(deepcopy=False):
            raise SweepError(
                f"the study {study.study_name!r} was not begun by this sweeper; begin another with study=NAME"
            )
        study.set_user_attr(ASKED, now)
        return
    if before == now:
        return
    from gaze.runs import FREE_TO_CHANGE, differences  # imports torch, for which a new study need not wait

    free = tuple(f"config.{key}" for key in (*FREE_TO_CHANGE, *allow))
    changes = [
        f"{key.removeprefix('config.')}: {was!r} -> {is_now!r}"
        for key, was, is_now in differences(before, now)
        if not any(key == f or key.startswith(f"{f}.") for f in free)
    ]
    if changes:
        raise SweepError(
            f"the study {study.study_name!r} in {folder} was begun with another search: {'; '.join(changes)}. Repeat its "
            "command, name keys of the config that may change as 'resume.allow=[KEY,...]', or begin another with study=NAME"
        )
