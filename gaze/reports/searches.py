"""What a page says of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gaze.loggers.masking import masked
from gaze.loggers.note import counted
from gaze.reports.blocks import Block, Code, Heading, Pictures, Row, Table, Text
from gaze.reports.images import picture
from gaze.sweeps.review import FACTS, FOLDER, read, table

CHARTS = ("history", "importance", "slices", "intermediate", "pareto")
SHOWN = 10  # Pareto trials


def search(folder: Path, name: str) -> list[Block]:
    """Counts, best trials with the command that repeats the first, search space with importance, and pictures."""
    facts = read(folder)
    title = Heading(f"Search {name}")
    if facts is None:
        return [title, Text(f"{FOLDER}/{FACTS} is missing or damaged: the search has not ended, or never reviewed.")]
    try:
        return [title, *_blocks(folder, facts)]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return [title, Text(f"{FOLDER}/{FACTS} cannot be shown ({error!r}); delete it, and report again.")]


def trial_states(folders: list[Path]) -> dict[Path, str]:
    """Run directory of each trial -> how it ended for its study."""
    rows = [(folder, row) for folder in folders for row in table(folder)]
    return {folder / row["directory"]: row.get("state", "") for folder, row in rows if row.get("directory")}


def _blocks(folder: Path, facts: Mapping[str, Any]) -> Iterator[Block]:
    objectives, best = facts["objectives"], facts["best"]
    goals = ", ".join(f"{o['name']} ({o['direction']})" for o in objectives)
    how = ", ".join(str(facts[key]) for key in ("sampler", "pruner") if facts.get(key))
    minutes = facts.get("minutes") or 0.0
    yield Text(f"{counted(facts['trials'])}, in {minutes:,.1f} minutes. Objective: {goals}.{f' {how}.' if how else ''}")
    if best:
        headings = ["best trial" if len(objectives) == 1 else "trial that no other beats in all"]
        headings += [o["name"] for o in objectives] + list(facts["space"])
        rows = [
            Row([str(t["number"]), *map(_shown, t["values"].values()), *(_shown(t["parameters"].get(p)) for p in facts["space"])])
            for t in best[:SHOWN]
        ]  # fmt: skip
        yield Table(headings, rows, frozenset(range(1, len(objectives) + 1)))
        yield Code(masked(str(best[0]["command"])))
    else:
        yield Text("No trial has finished yet.")
    entries = facts.get("importance", [])
    if facts["space"]:
        ranked = sorted(facts["space"], key=lambda p: -max((e["shares"].get(p, 0.0) for e in entries), default=0.0))
        rows = [
            Row([p, facts["space"][p], *(f"{e['shares'][p]:.0%}" if p in e["shares"] else "" for e in entries)])
            for p in ranked
        ]
        yield Table(
            ["parameter", "searched", *(f"importance for {e['objective']}" for e in entries)],
            rows,
            frozenset(range(2, 2 + len(entries))),
        )
    for reason in dict.fromkeys(entry["missing"] for entry in entries if entry["missing"]):
        yield Text(f"Importance: {reason}.", quiet=True)
    files = [folder / FOLDER / f"{chart}.png" for chart in CHARTS]
    charts = [drawn for file in files if file.is_file() and (drawn := picture(file, file.name))]
    if charts:
        yield Pictures(charts, charts=True)


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
