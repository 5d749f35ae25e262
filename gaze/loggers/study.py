"""Sends what a search found to the sweep's run: its space and best trial, pictures, and how each trial ended."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaze.loggers import filing, store, sweep
from gaze.loggers.description import PARAM_LENGTH, TAG_LENGTH, allowed, document
from gaze.loggers.ledger import Ledger
from gaze.loggers.masking import masked, without_credentials
from gaze.loggers.note import note
from gaze.sweeps.review import FACTS, FOLDER, read, table

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

SHARED = (
    "command",
    "mlflow.source.name",
    "mlflow.source.type",
    "mlflow.source.git.commit",
    "mlflow.user",
)  # of every trial


class StudyDelivery:
    """Carries `study` of a sweep's directory to one store. Its ledger lies there, too.

    Args:
        folder: of the sweep, after its review.
        uri: the store, with credentials.

    Raises:
        ValueError: there was no review.
    """

    def __init__(self, folder: Path, ledger: Ledger, uri: str) -> None:
        self.folder, self.ledger, self.uri = Path(folder), ledger, uri
        self.facts = read(self.folder) or {}
        if not self.facts:
            raise ValueError(f"{self.folder / FOLDER / FACTS} is missing or damaged; the sweep writes it when it ends")
        self.cursor = ledger.cursor(without_credentials(uri))

    def send(self) -> int:
        """Send all that is new; how many files that were.

        Raises:
            Exception: whatever MLflow and the network come up with; call again.
        """
        client = store.connect(self.uri)
        experiment_id = filing.experiment(client, self.uri, self.ledger.settings)
        name = self.ledger.settings.get("parent") or self.folder.absolute().name
        found = client.get_run(sweep.parent(client, experiment_id, name))
        self._follow(found.info.run_id)
        trials = sweep.trials(client, experiment_id, found.info.run_id)
        trials |= self._failed_early(client, experiment_id, found.info.run_id, name, trials)
        self._describe(client, experiment_id, found, trials)
        files = 0
        for file in self._files():
            files += filing.upload(client, found.info.run_id, self.folder / FOLDER, file, self.cursor, FOLDER)
            self.ledger.save()
        self._tag_states(client, trials)
        client.set_terminated(found.info.run_id)
        return files

    def _failed_early(
        self, client: MlflowClient, experiment_id: str, parent: str, name: str, known: Mapping[int, Run]
    ) -> dict[int, Run]:
        """Runs for trials that failed before they had one: while their model or data were built."""
        made = {}
        keys = {"number", "state", "minutes", "directory", "error", *(o["name"] for o in self.facts["objectives"])}
        for row in table(self.folder):
            number = int(row["number"])
            if row.get("state") != "FAIL" or number in known or not row.get("error"):  # of another sweep's it says none
                continue
            tags = {"mlflow.parentRunId": parent, "sweep": name, sweep.NUMBER: str(number)}
            tags |= dict.fromkeys(("error", "mlflow.note.content"), masked(row["error"])[:TAG_LENGTH])
            run = client.create_run(experiment_id, run_name=f"{name}/{number}", tags=tags)
            parameters = {allowed(k): masked(v)[:PARAM_LENGTH] for k, v in row.items() if k not in keys and v}
            filing.describe(client, run, parameters, {})
            client.set_terminated(run.info.run_id, status="FAILED")
            made[number] = client.get_run(run.info.run_id)
        return made

    def _follow(self, run_id: str) -> None:
        """A run that somebody deleted was made anew: it has no files yet."""
        if self.cursor.run_id != run_id:
            self.cursor.run_id, self.cursor.files = run_id, {}
            self.ledger.save()

    def _describe(self, client: MlflowClient, experiment_id: str, parent: Run, trials: Mapping[int, Run]) -> None:
        parameters = {f"space.{name}": words for name, words in self.facts.get("space", {}).items()}
        parameters |= {key: self.facts[key] for key in ("sampler", "pruner") if self.facts.get(key)}
        for objective in self.facts["objectives"]:
            parameters[f"objective.{objective['name']}"] = objective["direction"]
        tags = {f"trials.{state}": str(count) for state, count in self.facts["trials"].items()}
        gone = [key for key in parent.data.tags if key.startswith("trials.") and key not in tags]
        first = next(iter(trials.values()), None)
        tags |= {key: first.data.tags[key] for key in SHARED if first is not None and key in first.data.tags}
        links = {number: f"#/experiments/{experiment_id}/runs/{run.info.run_id}" for number, run in trials.items()}
        tags["mlflow.note.content"] = masked(note(self.facts, links))[:TAG_LENGTH]
        best = [trial["number"] for trial in self.facts["best"]]
        filing.describe(
            client,
            parent,
            {allowed(key): masked(str(value))[:PARAM_LENGTH] for key, value in parameters.items()},
            {allowed(key): value for key, value in tags.items()},
        )
        for key in gone:  # no trial is running any more
            client.delete_tag(parent.info.run_id, key)
        if best:
            several = len(self.facts["objectives"]) > 1
            sweep.crown(client, parent.info.run_id, trials, best, sweep.PARETO if several else sweep.BEST)
        if metrics := list(self._so_far(trials)):
            client.log_batch(parent.info.run_id, metrics=metrics)

    def _so_far(self, trials: Mapping[int, Run]) -> Iterator[Metric]:
        """The best value so far, at the number of each finished trial; each objective's own value if there are several."""
        from mlflow.entities import Metric

        names = [objective["name"] for objective in self.facts["objectives"]]
        down = self.facts["objectives"][0]["direction"] != "maximize"
        best = math.inf if down else -math.inf
        for row in table(self.folder):
            number = int(row["number"])
            values = [_number(row.get(name)) for name in names]
            if row.get("state") != "COMPLETE" or not all(map(math.isfinite, values)):
                continue
            # The same point again is no second one only if its time is the same, too.
            moment = trials[number].info.end_time or 0 if number in trials else 0
            if len(names) > 1:
                yield from (
                    Metric(allowed(f"study/{n}"), v, moment, number) for n, v in zip(names, values, strict=True)
                )
                continue
            best = min(best, values[0]) if down else max(best, values[0])
            yield Metric(allowed(f"study/best_{names[0]}"), best, moment, number)

    def _tag_states(self, client: MlflowClient, trials: Mapping[int, Run]) -> None:
        for row in table(self.folder):
            run = trials.get(int(row["number"]))
            if run is not None and run.data.tags.get(sweep.STATE) != row["state"]:
                client.set_tag(run.info.run_id, sweep.STATE, row["state"])

    def _files(self) -> Iterator[Path]:
        for file in sorted((self.folder / FOLDER).iterdir()):
            if file.is_file() and file.suffix in (".png", ".json", ".csv") and file.name != self.ledger.path.name:
                yield file


def settings_of(folder: Path) -> dict[str, Any]:
    """How the trials of a sweep were sent, for its own run: what the first of them noted, or its config says; {} if none."""
    for directory in sorted(Path(folder).glob("*/"), key=lambda path: (len(path.name), path.name)):
        try:
            noted = json.loads((directory / "mlflow.json").read_text(encoding="utf-8"))["settings"]
            return dict(noted)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        try:
            config = document(directory / "config.yaml")
        except (OSError, ValueError):
            continue
        if isinstance(config, dict) and "model" in config:
            return {"experiment": str(config.get("name") or Path(folder).absolute().parent.name)}
    return {}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
