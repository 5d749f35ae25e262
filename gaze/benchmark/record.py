"""What a run of the benchmark leaves: every row with the machine and its limits as JSON, a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaze.benchmark.machine import Limits
from gaze.benchmark.picture import costs_picture, ratios_picture
from gaze.benchmark.printing import as_markdown
from gaze.benchmark.result import Cost, Result
from gaze.durable import make_directory, write_text
from gaze.errors import UserError

FILE = "benchmark.json"
Row = Mapping[str, Any]


@dataclass
class Record:
    """The rows so far, and where they are kept.

    Args:
        folder: made if it is not there.
        machine: see `gaze.benchmark.machine.machine`.
        settings: of the run, plain values.
        before: rows of an earlier run, to stand beside; see `rows_of`.

    Raises:
        UserError: the folder holds an earlier run already.
    """

    folder: Path
    machine: Mapping[str, Any]
    limits: Limits
    settings: Mapping[str, Any]
    before: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    costs: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        make_directory(free(self.folder))
        self._write()

    def add(self, system: str, workload: str, result: Result | Cost) -> None:
        """Keep a result; the file is whole after each."""
        earlier = {(row["workload"], row["ours"]): row for row in self.before}
        rows = self.results if isinstance(result, Result) else self.costs
        for row in result.rows():
            was = earlier.get((row["workload"], row["ours"]), {})  # costs have no ratio
            rows.append({"system": system, "key": workload, **row, "before": was.get("ratio", was.get("ms"))})
        self._write()

    def close(self) -> list[Path]:
        """Write the table and the pictures; all files that there are."""
        files = [self.folder / FILE, self.folder / "benchmark.md"]
        write_text(files[1], as_markdown(self.limits, self.results, self.costs))
        for name, rows, draw in (
            ("ratios.png", self.results, ratios_picture),
            ("costs.png", self.costs, costs_picture),
        ):
            if rows:
                files.append(self.folder / name)
                files[-1].write_bytes(draw(rows))
        return files

    def _write(self) -> None:
        whole = {
            "machine": self.machine,
            "limits": self.limits._asdict(),
            "settings": self.settings,
            "results": self.results,
            "costs": self.costs,
        }
        write_text(self.folder / FILE, json.dumps(whole, indent=1) + "\n")


def free(folder: str | Path) -> Path:
    """The folder, if no run has its figures there.

    Raises:
        UserError: one has.
    """
    if (Path(folder) / FILE).exists():
        raise UserError(f"{folder} holds the figures of an earlier run; give another folder as out=")
    return Path(folder)


def rows_of(file: str | Path) -> list[Row]:
    """All rows of an earlier run.

    Raises:
        UserError: the file is not there or none of ours.
    """
    try:
        whole = json.loads(Path(file).read_text())
        rows = [*whole["results"], *whole["costs"]]
        assert all(row["workload"] and row["ours"] for row in rows), "it has rows without a name"
        return rows
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise UserError(f"before={file}: {error}; expected the {FILE} of an earlier benchmark") from error
