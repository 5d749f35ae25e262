"""What runs and sweeps have in common where MLflow files them: experiment, parameters, tags and files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaze.loggers import store
from gaze.loggers.ledger import Cursor, stamp
from gaze.loggers.masking import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARAMS = 100  # what MLflow takes in one call
TEXTS = (".yaml", ".yml", ".json", ".md", ".txt", ".csv", ".log")


def experiment(client: MlflowClient, uri: str, settings: Mapping[str, Any]) -> str:
    """The id of the experiment that the settings name; it is made if there is none."""
    from mlflow.exceptions import MlflowException

    name = settings["experiment"]
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(
                name,
                artifact_location=store.artifact_location(uri, settings.get("artifacts"), name),
                tags={
                    "mlflow.experimentKind": "custom_model_development"
                },  # else the page opens in its language-model layout
            )
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":  # the name is taken for ever, so this is the only way to use it
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def describe(client: MlflowClient, run: Run, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Give a run parameters and tags. MLflow has no second value of a parameter; another one becomes a tag."""
    from mlflow.entities import Param, RunTag

    described = dict(tags)
    new = []
    for key, value in parameters.items():
        if key not in run.data.params:
            new.append(Param(key, value))
        elif run.data.params[key] != value:  # the run was resumed with another one
            described[f"resumed.{key}"] = value
    for start in range(0, len(new), PARAMS):
        client.log_batch(run.info.run_id, params=new[start : start + PARAMS])
    named = [RunTag(key, value) for key, value in described.items() if run.data.tags.get(key) != value]
    for start in range(0, len(named), PARAMS):
        client.log_batch(run.info.run_id, tags=named[start : start + PARAMS])


def upload(client: MlflowClient, run_id: str, directory: Path, file: Path, cursor: Cursor, under: str = "") -> int:
    """Send a file, without the secrets in it: 1 if it was new or written again since it was sent, else 0.

    Args:
        directory: whose files have the same places among the run's artifacts, below `under`.
    """
    place = file.relative_to(directory)
    if not cursor.changed(place.as_posix(), file):
        return 0
    before = stamp(file)
    folder = (Path(under) / place.parent).as_posix()
    with tempfile.TemporaryDirectory() as aside:
        client.log_artifact(run_id, str(_masked(file, Path(aside))), None if folder == "." else folder)
    cursor.sent(place.as_posix(), before)
    return 1


def _masked(file: Path, aside: Path) -> Path:
    """The file itself, or a copy without the secrets that were found in it."""
    if file.suffix not in TEXTS:
        return file
    text = file.read_text(encoding="utf-8", errors="replace")
    if (clean := masked(text)) == text:
        return file
    (aside / file.name).write_text(clean, encoding="utf-8")
    return aside / file.name
