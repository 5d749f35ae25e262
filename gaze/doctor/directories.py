"""A run or a sweep that exists: which checkpoints are damaged, what was left behind, would it go on?"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, size, warning

MOST_BYTES = 4e9  # of checkpoints that are read; the newest first
LEFT = (".writing-*", ".replaced-*")


def directory(case: Case) -> Iterator[Finding]:
    """What is found in the directory that was named."""
    if case.run is None:
        return
    if not case.run.is_dir():
        yield problem("run", f"there is no folder {case.run.absolute()}; name a run directory, or that of a sweep")
        return
    runs = runs_in(case.run)
    if not runs:
        yield problem("run", f"{case.run} holds no run: no config.yaml in it or below; name a directory under outputs/")
        return
    left = MOST_BYTES
    for run in sorted(runs, key=lambda run: run.stat().st_mtime, reverse=True):
        yield from one_run(run, left > 0)
        left -= sum(file.stat().st_size for file in run.glob("*/step-*/*"))
    if left < 0:
        yield ok(
            "run", f"checkpoints beyond the newest {size(MOST_BYTES)} were not read; name a single run to read its"
        )


def one_run(run: Path, read: bool = True) -> Iterator[Finding]:
    """Its lock, its checkpoints and its journal."""
    from gaze.checkpoints import Checkpoints, verify

    about = run.name
    if holder := held_by(run):
        yield ok(about, f"process {holder} trains in it")
    intact = {}
    for kind in ("last", "best"):
        checkpoints = Checkpoints(run / kind)
        steps = checkpoints.steps()
        damage = {step: fault for step in steps if read and (fault := verify(checkpoints.path(step)))}
        intact[kind] = [step for step in steps if step not in damage]
        for step, fault in damage.items():
            path = checkpoints.path(step)
            if intact[kind]:
                yield warning(about, f"{path} is damaged ({fault}); step {intact[kind][-1]} is used instead: delete it")
            else:
                yield problem(
                    about, f"{path} is damaged ({fault}) and none is left in {kind}/; restore a copy, or start anew"
                )
        remains = [p for pattern in LEFT for p in (run / kind).glob(pattern)]
        if remains and not holder:
            yield warning(about, f"{', '.join(p.name for p in remains)} in {kind}/ is left from a kill: delete it")
    if not intact["last"] and not intact["best"]:
        yield warning(about, "it holds no intact checkpoint, so it begins anew with the same command and this dir=")
    else:
        kept = ", ".join(f"{kind} at step {steps[-1]}" for kind, steps in intact.items() if steps)
        yield ok(about, f"{kept}{'' if read else ' (not read)'}")
    yield from journal(run)


def journal(run: Path) -> Iterator[Finding]:
    """Can all lines but the last, which a kill may cut off, be read?"""
    file = run / "metrics.jsonl"
    if not file.is_file():
        return
    lines = file.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            json.loads(line)
        except ValueError as error:
            yield warning(
                run.name, f"{file}, line {number} can't be read ({said(error, 80)}): restore it, or take the line out"
            )
            return


def changes(case: Case) -> Iterator[Finding]:
    """Would the run go on with the config that was given beside it?"""
    import yaml

    from gaze.runs import FREE_TO_CHANGE, differences, plain_config

    if case.run is None or not case.overrides or not case.sound or case.config is None:
        return
    file = case.run / "config.yaml"
    if not file.is_file() or not (case.run / "last").is_dir():
        return
    allowed = (*FREE_TO_CHANGE, *(case.value("resume.allow") or ()))
    changed = [
        f"{key}: {before!r} -> {now!r}"
        for key, before, now in differences(yaml.safe_load(file.read_text()), plain_config(case.config))
        if not any(key == free or key.startswith(f"{free}.") for free in allowed)
    ]
    if changed:
        yield problem(
            case.run.name,
            f"it would not go on with this config: {'; '.join(changed)}; repeat its overrides, or 'resume.allow=[KEY,...]'",
        )
    else:
        yield ok(case.run.name, "it would go on with this config")


def runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run, else the runs in it."""
    if (folder / "config.yaml").is_file():
        return [folder]
    return sorted(file.parent for file in folder.glob("*/config.yaml"))


def held_by(run: Path) -> str | None:
    """The process that trains in a directory, None if none does."""
    file = run / ".lock"
    if not file.is_file():
        return None
    with file.open("r+") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return stream.readline().strip() or "?"
        fcntl.lockf(stream, fcntl.LOCK_UN)
    return None
