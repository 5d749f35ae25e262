"""The config: does it compose, is it free of mistakes, and can what it names be built?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, ok, problem, said


def composed(case: Case) -> Iterator[Finding]:
    """Did Hydra find all that was chosen?"""
    for trouble in case.trouble:
        yield problem("config", trouble)


def mistakes(case: Case) -> Iterator[Finding]:
    """Every mistake that can be found without building anything: keys, types, untrusted code."""
    if case.config is None:
        return
    if case.sound:
        yield ok("config", f"{case.value('name', 'the run')}: every key is known and of its type, all code is trusted")
        return
    for line in case.failures["config"].splitlines()[1:]:
        yield problem("config", line.strip())


def parts(case: Case) -> Iterator[Finding]:
    """Can model, optimizer, schedule and callbacks be made?"""
    from gaze.freezing import count_parameters
    from gaze.runs import build, chosen

    if not case.sound or case.config is None:
        return
    if case.model is None:
        yield problem("model", case.failures["model"])
        return
    total = count_parameters(case.model)[-1]
    yield ok("model", f"{type(case.model).__name__}, {total.total:,} parameters, {total.trainable:,} trainable")
    for group in ("optimizer", "schedule", "callback", "init"):
        if case.config[group] is None:
            continue
        try:
            if group == "optimizer":
                build(case.config.optimizer)(model=case.model)
            elif group == "callback":
                chosen(case.config, group)
            else:
                build(case.config[group])
        except Exception as error:  # constructors raise what they like
            yield problem(group, said(error))


def search(case: Case) -> Iterator[Finding]:
    """Do the keys that a search varies exist?"""
    from gaze.runs import plain_config

    varied = case.value("hydra.sweeper.params") or {}
    if not case.sound or not varied:
        return
    plain = plain_config(case.config) if case.config is not None else {}
    absent = [key for key in map(str, varied) if key[0] not in "+~" and not _has(plain, key.partition("@")[0])]
    if absent:
        yield problem("sweep", f"it varies {', '.join(absent)}, which the config has not; correct hydra.sweeper.params")
    else:
        yield ok("sweep", f"it varies {', '.join(map(str, varied))}")


def batches(case: Case) -> Iterator[Finding]:
    """Does the training split fill a step?"""
    from gaze.loading import BatchPlan
    from gaze.trainer import passes

    data = case.splits.get("train")
    if data is None:
        return
    batch, accumulate = int(case.value("trainer.batch_size")), int(case.value("trainer.accumulate", 1))
    effective = case.value("trainer.effective_batch_size")
    try:
        if effective is not None:
            accumulate = passes(effective, batch, accumulate)
        plan = BatchPlan(len(data), batch, accumulate)
    except ValueError as error:
        yield problem("steps", said(error))
        return
    epochs = int(case.value("trainer.epochs"))
    yield ok("steps", f"{epochs} epochs of {plan.steps} steps of {batch * accumulate} samples on one device")


def _has(node: Any, dotted: str) -> bool:
    for part in dotted.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
