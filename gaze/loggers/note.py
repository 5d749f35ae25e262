"""What the page of a sweep's run says at the top, as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

SHOWN = 10  # Pareto trials
WIDTH = 100  # letters in a line of a command


def note(facts: Mapping[str, Any], links: Mapping[int, str]) -> str:
    """The best trial with the command that repeats it, and the space that was searched.

    Args:
        facts: the content of study.json.
        links: address of each trial's page by number.
    """
    objectives, best = facts["objectives"], facts["best"]
    goals = ", ".join(f"{word(o['name'])} ({o['direction']})" for o in objectives)
    lines = [f"**{word(facts['study'])}**: {counted(facts['trials'])}. Objective: {goals}.", ""]
    if not best:
        lines += ["No trial has finished yet.", ""]
    elif len(objectives) == 1:
        lines += [f"**Best: {_link(best[0], links)}** with {figures(best[0])}", "", *_command(best[0]), ""]
    else:
        lines += [f"{len(best)} trials that no other beats in all objectives:", ""]
        lines += [f"- {_link(trial, links)}: {figures(trial)}" for trial in best[:SHOWN]]
        lines += [f"- and {len(best) - SHOWN} more"] if len(best) > SHOWN else []
        lines += ["", *_command(best[0]), ""]
    lines += _space(facts)
    return "\n".join(lines)


def counted(trials: Mapping[str, int]) -> str:
    """Trials in words: `30 trials: 24 finished, 4 pruned, 2 failed`."""
    names = {"complete": "finished", "fail": "failed"}
    total = sum(trials.values())
    states = ", ".join(f"{count} {names.get(state, state)}" for state, count in trials.items())
    return f"{total} trial{'' if total == 1 else 's'}" + (f": {states}" if states else "")


def figures(trial: Mapping[str, Any]) -> str:
    """The values of a trial: `min_l2 0.0431`."""
    return ", ".join(
        f"{word(name)} {value:.4g}" if isinstance(value, (int, float)) else f"{word(name)} {word(str(value))}"
        for name, value in trial["values"].items()
    )


def word(text: str) -> str:
    """A text that Markdown takes literally, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$&])", r"\\\1", " ".join(str(text).split()))


def code(text: str) -> str:
    """A text between backticks, as many as it needs."""
    text = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _link(trial: Mapping[str, Any], links: Mapping[int, str]) -> str:
    number = trial["number"]
    return f"[trial {number}]({links[number]})" if number in links else f"trial {number}"


def _command(trial: Mapping[str, Any]) -> list[str]:
    lines = textwrap.wrap(str(trial["command"]), WIDTH, break_long_words=False, break_on_hyphens=False)
    return ["```", " \\\n    ".join(lines).replace("```", "'''"), "```"]


def _space(facts: Mapping[str, Any]) -> list[str]:
    space = facts.get("space", {})
    if not space:
        return []
    entries = facts.get("importance", [])
    shares = {name: share for entry in entries if len(entries) == 1 for name, share in entry.get("shares", {}).items()}
    best = facts["best"][0]["parameters"] if facts["best"] else {}
    lines = ["| parameter | searched | best | importance |", "| --- | --- | --- | --- |"]
    for name in sorted(space, key=lambda name: -shares.get(name, 0.0)):
        share = f"{shares[name]:.0%}" if name in shares else ""
        value = best.get(name, "")
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        lines.append(f"| {word(name)} | {word(space[name])} | {word(shown)} | {share} |")
    reasons = dict.fromkeys(entry["missing"] for entry in entries if entry.get("missing"))
    return [*lines, "", *(f"Importance {word(reason)}." for reason in reasons)]
