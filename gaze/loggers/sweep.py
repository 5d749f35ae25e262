"""One parent run per sweep, under which MLflow folds the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaze.loggers.description import document

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

NUMBER, STATE = "trial", "trial_state"  # tags of a trial: its number in the study, and how it ended for it
BEST, PARETO = "gaze_best", "gaze_pareto"  # tags of trials that no other beats, in one figure and in several


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


def trial_number(directory: Path) -> int | None:
    """The number of the trial that a run directory holds: what its config says, or else its name; None if neither does."""
    directory = Path(directory).absolute()
    said = searched(document(directory / "config.yaml") or {})
    if said is not None:
        return said
    return int(directory.name) if directory.name.isdecimal() else None


def searched(config: Mapping[str, Any]) -> int | None:
    """The number of the Optuna trial that the config of a run belongs to; None if it was not searched."""
    trial = config.get("trial")
    number = trial.get("number") if isinstance(trial, Mapping) else None
    return number if isinstance(number, int) else None


def trials(client: MlflowClient, experiment_id: str, sweep: str) -> dict[int, Run]:
    """The sweep's trials by number; those without one by the order in which they began."""
    found, token = list["Run"](), None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`mlflow.parentRunId` = '{sweep}'",
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        if not (token := page.token):
            break
    return {int(run.data.tags.get(NUMBER, place)): run for place, run in enumerate(found)}


def report(
    client: MlflowClient, experiment_id: str, sweep: str, trial: str, point: Metric, mode: str | None = None
) -> None:
    """Put the best figure of a trial on the sweep's run, at the number of the trial: its page shows a curve.

    The sweep's run counts as finished whenever a trial is; a later trial only moves its end.

    Args:
        trial: the id of its run.
        mode: minimize or maximize names the best trial so far, too; None leaves that to others.
    """
    found = trials(client, experiment_id, sweep)
    number = next((number for number, run in found.items() if run.info.run_id == trial), 0)
    client.log_metric(sweep, point.key, point.value, timestamp=point.timestamp, step=number)
    if mode is not None:
        points = sorted(client.get_metric_history(sweep, point.key), key=lambda p: p.timestamp)
        values = {
            p.step: p.value for p in points if p.step in found
        }  # a trial that went on has several; the last counts
        sign = -1.0 if mode == "maximize" else 1.0
        crown(client, sweep, found, [min(values, key=lambda number: (sign * values[number], number))])
    client.set_terminated(sweep)


def crown(client: MlflowClient, sweep: str, trials: Mapping[int, Run], best: Sequence[int], tag: str = BEST) -> None:
    """Tag the best of the trials, and take the tag from those that were; the sweep's run says who they are."""
    for number, run in trials.items():
        if number in best and run.data.tags.get(tag) != "true":
            client.set_tag(run.info.run_id, tag, "true")
        elif number not in best and tag in run.data.tags:
            client.delete_tag(run.info.run_id, tag)
    known = [number for number in best if number in trials]
    what = "best" if tag == BEST else "pareto"
    client.set_tag(sweep, f"{what}_trial", ", ".join(str(number) for number in best))
    client.set_tag(sweep, f"{what}_run_id", ", ".join(trials[number].info.run_id for number in known))


def _parents(client: MlflowClient, experiment_id: str, name: str) -> list[str]:
    quoted = name.replace("'", "''")
    runs = client.search_runs([experiment_id], f"tags.gaze_sweep = '{quoted}'", order_by=["attributes.start_time ASC"])
    return [run.info.run_id for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))]
