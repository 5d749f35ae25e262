"""A run or a sweep that exists: which checkpoints are damaged, what was left behind, would it go on?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said, size, warning
from gaze.holders import holder

MOST_BYTES = 4e9  # of checkpoints that are read; the newest first
KINDS = ("last", "best")


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
    from gaze.checkpoints import Checkpoints
    from gaze.manifests import CheckpointError, verify

    about = run.name
    process = holder(run)
    if process is not None:
        yield ok(about, f"process {process or '?'} trains in it")
    intact: dict[str, list[int]] = {}
    faults: dict[str, dict[Path, str]] = {}
    for kind in KINDS:
        checkpoints = Checkpoints(run / kind)
        faults[kind], intact[kind] = {}, []
        for step in checkpoints.steps():
            path = checkpoints.path(step)
            try:
                fault = verify(path) if read else None
            except CheckpointError as error:  # of a newer version
                yield problem(about, said(error))
                continue
            if fault is None:
                intact[kind].append(step)
            else:
                faults[kind][path] = fault
        if process is None:
            yield from remains(about, run / kind, read)
    for kind in KINDS:
        yield from damaged(about, kind, faults[kind], intact)
    if any(intact.values()):
        kept = ", ".join(f"{kind} at step {steps[-1]}" for kind, steps in intact.items() if steps)
        yield ok(about, f"{kept}{'' if read else ' (not read)'}")
    elif not any(Checkpoints(run / kind).steps() for kind in KINDS):
        yield warning(about, "it holds no checkpoint, so it begins anew with the same command and this dir=")
    yield from journal(run)


def damaged(about: str, kind: str, faults: Mapping[Path, str], intact: Mapping[str, list[int]]) -> Iterator[Finding]:
    """What each damaged checkpoint of a kind means: going on takes `last`, all else `best`, and `last` where there is none."""
    left, last = intact[kind], intact["last"]
    for path, fault in faults.items():
        told = f"{path} is damaged ({fault})"
        if left and left[-1] > int(path.name[-8:]):
            yield warning(about, f"{told}; the newer step {left[-1]} is intact: delete it")
        elif left:
            yield warning(about, f"{told}; step {left[-1]} is used instead: delete it")
        elif kind == "best" and last:
            yield warning(about, f"{told}; the run goes on from last/: delete it, and step {last[-1]} of last/ is used")
        else:
            yield problem(
                about,
                f"{told} and none is left in {kind}/: the run can't go on; restore a copy, or start in a new directory",
            )


def remains(about: str, folder: Path, read: bool) -> Iterator[Finding]:
    """What a save that was killed left in the folder of a kind. What it was about to replace may be the only copy."""
    for path in sorted(folder.glob(".writing-*")):
        yield warning(about, f"{path.name} in {folder.name}/ is left from a kill: delete it")
    for path in sorted(folder.glob(".replaced-*")):
        after = folder / path.name.replace(".replaced-", "step-")
        told = f"{path.name} in {folder.name}/ is left from a kill"
        if not after.exists():
            yield ok(about, f"{told} and is the only copy of {after.name}: it is used as that; keep it")
        elif not read:
            yield ok(about, f"{told}; the next save clears it away")
        elif _whole(after):
            yield warning(about, f"{told}, and {after.name}, which took its place, is intact: delete it")
        elif _whole(path):
            yield warning(about, f"{told} and is intact, but {after.name} is not: put it in the place of that one")


def _whole(path: Path) -> bool:
    from gaze.manifests import CheckpointError, verify

    try:
        return verify(path) is None
    except CheckpointError:
        return False


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
    from gaze.plain_yaml import YamlError, plain_yaml
    from gaze.runs import FREE_TO_CHANGE, differences, plain_config

    if case.run is None or not case.overrides or not case.sound or case.config is None:
        return
    file = case.run / "config.yaml"
    if not file.is_file() or not (case.run / "last").is_dir():
        return
    try:
        before = plain_yaml(file.read_text(encoding="utf-8"), file)
    except (YamlError, ValueError, OSError) as error:
        yield problem(case.run.name, f"{said(error)}; restore it")
        return
    allowed = (*FREE_TO_CHANGE, *(case.value("resume.allow") or ()))
    changed = [
        f"{key}: {then!r} -> {now!r}"
        for key, then, now in differences(before, plain_config(case.config))
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
