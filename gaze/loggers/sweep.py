"""One parent run per sweep, under which MLflow folds the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric


def parent(client: MlflowClient, experiment_id: str, name: str) -> str:
    """The id of the sweep's run; the first trial that asks makes it.

    Trials on several machines may ask at once: each looks again after making one, all agree on the
    oldest, and the others withdraw theirs.
    """
    if found := _parents(client, experiment_id, name):
        return found[0]
    mine = client.create_run(experiment_id, run_name=name, tags={"gaze_sweep": name}).info.run_id
    oldest = _parents(client, experiment_id, name)[0]
    if oldest != mine:
        client.delete_run(mine)
    return oldest


def report(client: MlflowClient, experiment_id: str, sweep: str, trial: str, point: Metric) -> None:
    """Put the best figure of a trial on the sweep's run, at the number of the trial: its page shows a curve.

    The sweep's run counts as finished whenever a trial is; a later trial only moves its end.
    """
    trials = client.search_runs(
        [experiment_id], f"tags.`mlflow.parentRunId` = '{sweep}'", order_by=["attributes.start_time ASC"]
    )
    numbers = {run.info.run_id: number for number, run in enumerate(trials)}
    client.log_metric(sweep, point.key, point.value, timestamp=point.timestamp, step=numbers.get(trial, 0))
    client.set_terminated(sweep)


def _parents(client: MlflowClient, experiment_id: str, name: str) -> list[str]:
    quoted = name.replace("'", "''")
    runs = client.search_runs([experiment_id], f"tags.gaze_sweep = '{quoted}'", order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))]
