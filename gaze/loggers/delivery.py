"""Sends what MLflow does not have yet of one run directory, and can be interrupted anywhere."""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gaze.journal import Entry, Journal, best, monitored
from gaze.loggers import filing, store, sweep
from gaze.loggers.description import allowed, document, parameters, tags
from gaze.loggers.ledger import Ledger
from gaze.loggers.masking import without_credentials
from gaze.loggers.signature import NAME as SIGNATURE
from gaze.loggers.signature import model_card

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

METRICS = 1000  # what MLflow takes in one call
ENTRIES = 500  # lines of the journal between two saves of the cursor
SETTLED_S = 2.0  # a picture that was written this long ago is complete
KEPT = ("mlflow.json", "metrics.jsonl")  # ours; MLflow has their content
WEIGHTS = "best"
PRUNED = "val/pruned"  # the figure of a run that its search ended early
MOMENT = re.compile(r"\d{4}-(\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)(?:-\d+)?")  # what conf/train.yaml calls a run


class Sent(NamedTuple):
    """What one call of `send` carried."""

    points: int
    files: int


class Delivery:
    """Carries one run directory to one store, each point and each state of a file once.

    Args:
        directory: of the run.
        uri: the store, as the settings name it or another one.
    """

    def __init__(self, directory: Path, ledger: Ledger, uri: str) -> None:
        self.directory = Path(directory)
        self.ledger = ledger
        self.uri = uri
        self.journal = Journal(self.directory)
        self.cursor = ledger.cursor(without_credentials(uri))
        self.experiment_id = ""
        self._client: MlflowClient | None = None

    def send(self, status: str | None = None) -> Sent:
        """Send what is new; with a status also the closing files, and end the run with it.

        Raises:
            Exception: whatever MLflow and the network come up with. What was sent until then is noted;
                call again.
        """
        client = self._client or self._open()
        points = self._send_points(client)
        files = sum(self._upload(client, file) for file in self._pictures(settled=status is None))
        if status is not None:
            files += self._close(client, status)
        self.ledger.save()
        return Sent(points, files)

    @property
    def run_id(self) -> str:
        """MLflow's id of the run; there is one after the first `send`."""
        assert self.cursor.run_id is not None
        return self.cursor.run_id

    def _open(self) -> MlflowClient:
        """Find or make the experiment and the run, and describe the run."""
        client = store.connect(self.uri)
        settings = self.ledger.settings
        self.ledger.save()  # the key has to be on the disk before a run carries it
        self.experiment_id = filing.experiment(client, self.uri, settings)
        run = self._existing(client) or self._create(client)
        self.cursor.run_id = run.info.run_id
        self.ledger.save()
        if run.info.status != "RUNNING":
            client.update_run(self.run_id, status="RUNNING")
        self._describe(client, run)
        for file in self._texts():
            if file.suffix != ".log":
                self._upload(client, file)
        self.ledger.save()
        self._client = client
        return client

    def _existing(self, client: MlflowClient) -> Run | None:
        found = client.search_runs([self.experiment_id], f"tags.gaze_key = '{self.cursor.key}'", max_results=1)
        if found:
            return found[0]
        if self.cursor.run_id is not None:  # somebody deleted it: start over with a new one
            del self.ledger.cursors[without_credentials(self.uri)]
            self.cursor = self.ledger.cursor(without_credentials(self.uri))
            self.ledger.save()
        return None

    def _create(self, client: MlflowClient) -> Run:
        settings = self.ledger.settings
        entries, _ = self.journal.read_from(0, limit=1)
        started = min([float(settings.get("started", time.time())), *(entry.time for entry in entries)])
        parent = settings.get("parent")
        linked = dict[str, str]()
        if parent:
            linked = {"sweep": parent, "mlflow.parentRunId": sweep.parent(client, self.experiment_id, parent)}
            if (number := sweep.trial_number(self.directory)) is not None:
                linked[sweep.NUMBER] = str(number)
        return client.create_run(
            self.experiment_id,
            start_time=round(started * 1000),
            run_name=settings.get("run_name") or run_name(self.directory),
            tags={"gaze_key": self.cursor.key, **linked},
        )

    def _describe(self, client: MlflowClient, run: Run) -> None:
        config = document(self.directory / "config.yaml") or {}
        facts = [document(self.directory / f"{name}.json") or {} for name in ("environment", "provenance")]
        described = tags({**facts[0], **facts[1]}, document(self.directory / "overrides.yaml") or [])
        described["directory"] = str(self.directory.absolute())
        described |= self.ledger.settings.get("tags", {})
        # No parameter `dir`, which differs between any two runs: pages that compare them would begin with it.
        filing.describe(client, run, parameters({k: v for k, v in config.items() if k != "dir"}), described)

    def _send_points(self, client: MlflowClient) -> int:
        count = 0
        while True:
            self.cursor.locate(self.journal)
            entries, position = self.journal.read_from(self.cursor.position, limit=ENTRIES)
            if position == self.cursor.position:
                return count
            metrics = [_metric(*point) for point in self.cursor.unsent(entries)]
            for start in range(0, len(metrics), METRICS):
                client.log_batch(self.run_id, metrics=metrics[start : start + METRICS])
            self.cursor.advance(self.journal, position, entries)
            self.ledger.save()
            count += len(metrics)

    def _upload(self, client: MlflowClient, file: Path) -> int:
        """1 if the file was new or written again and is now sent, else 0."""
        return filing.upload(client, self.run_id, self.directory, file, self.cursor)

    def _pictures(self, settled: bool) -> Iterator[Path]:
        now = time.time()
        for file in _files(self.directory / "pictures"):
            if not settled or now - file.stat().st_mtime > SETTLED_S:
                yield file

    def _texts(self) -> Iterator[Path]:
        for file in sorted(self.directory.glob("*")):
            if (
                file.is_file()
                and file.suffix in filing.TEXTS
                and file.name not in KEPT
                and not file.name.startswith(".")
            ):
                yield file

    def _close(self, client: MlflowClient, status: str) -> int:
        files = sum(self._upload(client, file) for file in self._texts())
        files += sum(self._upload(client, file) for file in _files(self.directory / WEIGHTS))
        if (self.directory / WEIGHTS).is_dir() and (
            card := model_card(self.directory / SIGNATURE, WEIGHTS, self.run_id)
        ):
            with tempfile.TemporaryDirectory() as aside:
                card.save(f"{aside}/MLmodel")
                client.log_artifact(self.run_id, f"{aside}/MLmodel", WEIGHTS)
            # The artifact page looks here for what is a model.
            client.set_tag(self.run_id, "mlflow.log-model.history", json.dumps([card.get_tags_dict()]))
        if status == "FINISHED" and not self._pruned():
            self._report_to_sweep(client)
        ended = self.ledger.ended or time.time()
        client.set_terminated(self.run_id, status=status, end_time=round(ended * 1000))
        return files

    def _pruned(self) -> bool:
        """Whether the search ended the run early. What it had reached until then competes with no finished trial's figure."""
        return any(PRUNED in entry.values for entry in self.journal.read())

    def _report_to_sweep(self, client: MlflowClient) -> None:
        from mlflow.entities import Metric

        sweep_id = client.get_run(self.run_id).data.tags.get("mlflow.parentRunId")
        config = document(self.directory / "config.yaml") or {}
        key, mode = monitored(config)
        entry = best(self.journal.read(), key, mode)
        if sweep_id and entry:
            name = f"val/best_{key.partition('/')[2]}"
            point = Metric(name, entry.values[key], round(entry.time * 1000), entry.step)
            one = sweep.searched(config) is not None and not config.get("objectives") and mode != "last"
            sweep.report(client, self.experiment_id, sweep_id, self.run_id, point, mode if one else None)


def run_name(directory: Path) -> str:
    """The directory's name, with its parent's before it when it is only the number of a trial.

    Of a moment neither year nor fraction: the list of runs would show `2026-11-22_01-3…` of each.
    """
    path = Path(directory).absolute()
    if path.name.isdigit():
        return f"{path.parent.name}/{path.name}"
    moment = MOMENT.fullmatch(path.name)
    return "{} {}:{}:{}".format(*moment.groups()) if moment else path.name


def _metric(key: str, value: float, entry: Entry) -> Any:
    from mlflow.entities import Metric

    # An infinite value would be stored as 1.8e308 and flatten every other point of the chart.
    return Metric(allowed(key), value if math.isfinite(value) else math.nan, round(entry.time * 1000), entry.step)


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file
