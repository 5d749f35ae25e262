"""What became of a preparation, as sentences for the terminal: each says how many, what and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gaze.recordings.checks import advised

SHOWN = 5  # reasons, and recordings, that the terminal spells out; the report has all


def sentences(report: Mapping[str, Any]) -> Iterator[str]:
    """One for each finding, for each reason why rows were refused, and for each recording that can't be read."""
    for finding in report["findings"]:
        yield f"{'ERROR' if finding['severe'] else 'note'}: {finding['message']}"
    for title, key in (("refused", "rejected"), ("left out", "dropped")):
        reasons = list(report[key].items())
        for reason, count in reasons[:SHOWN]:
            examples = report["rejected_examples"].get(reason, ())
            rows = f"{count:,} rows (as {', '.join(examples)})" if examples else f"{count:,} rows"
            yield f"{title}: {rows}: {advised(reason)}"
        yield from _more(title, len(reasons))
    failed = list(report["failed"].items())
    yield from (f"unreadable: recording {name}: {why}" for name, why in failed[:SHOWN])
    yield from _more("unreadable", len(failed))


def mistake(report: Mapping[str, Any], out: Path | str) -> str | None:
    """Why a table that was written should not be trained on as it is; None where it may."""
    found = []
    if report["failed"]:
        found.append(f"{len(report['failed'])} recordings can't be read, and the same command tries them again")
    if not report["valid"]:
        found.append(f"none of its {report['rows']:,} rows is valid" if report["rows"] else "it has no row")
    if any(finding["severe"] for finding in report["findings"]):
        found.append("it has errors")
    if not found:
        return None
    return f"{out} is written, but should not be trained on as it is: {'; '.join(found)}; mend what stands above"


def _more(title: str, count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"{title}: ... and {count - SHOWN} more in report.md"
