"""Findings as coloured lines, or as one JSON object."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from gaze.doctor.findings import Group, Level

COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
ABOUT = 16  # columns


def show(groups: Iterable[Group], as_json: bool = False) -> int:
    """Print findings as they come, then how many there are of each kind; return 1 if there is a problem, else 0."""
    console, counts, kept, seconds = Console(soft_wrap=True, highlight=False), Counter[Level](), [], 0.0
    for group in _quietly(groups):
        counts.update(finding.level for finding in group.findings)
        seconds += group.seconds
        if as_json:
            kept.append(_plain(group))
            continue
        console.print(Text(group.title, style="bold"))
        for finding in group.findings:
            line = Text(f"  {finding.level.value:<8}", style=COLOURS[finding.level])
            console.print(line.append(f"{finding.about:<{ABOUT}} ", "bold").append(finding.said, "default not bold"))
    if as_json:
        told = {level.value: counts[level] for level in Level}
        print(json.dumps({"counts": told, "seconds": round(seconds, 2), "groups": kept}, indent=2))
    else:
        amounts = [f"{counts[level]} {level.value}s" for level in (Level.PROBLEM, Level.WARNING) if counts[level] != 1]
        amounts += [f"1 {level.value}" for level in (Level.PROBLEM, Level.WARNING) if counts[level] == 1]
        worst = next((level for level in (Level.PROBLEM, Level.WARNING) if counts[level]), Level.OK)
        console.print(Text(f"{', '.join(sorted(amounts, key=lambda a: 'warn' in a))}; {seconds:.1f} s", COLOURS[worst]))
    return int(bool(counts[Level.PROBLEM]))


def _plain(group: Group) -> dict[str, object]:
    found = [{"level": f.level.value, "about": f.about, "said": f.said} for f in group.findings]
    return {"title": group.title, "seconds": round(group.seconds, 2), "findings": found}


def _quietly(groups: Iterable[Group]) -> Iterator[Group]:
    """The groups, made without what libraries and models have to say meanwhile."""
    source = iter(groups)
    while True:
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
                warnings.simplefilter("ignore")
                group = next(source, None)
        finally:
            logging.disable(before)
        if group is None:
            return
        yield group
