"""What figures of a split must say beside themselves: which samples are left out, and what is not as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gaze.faces.limits import Limit
from gaze.faces.protocols import STANDARD_FOLDS, Clusters, HoldOut


def facts_of(held: HoldOut, names: Sequence[str], clusters: Clusters, limits: Mapping[str, Limit]) -> dict[str, str]:
    """Sentences by what they are about: limits, folds, shots; those that are as published have none.

    Args:
        names: of the data sets.
        limits: in degrees, by what they limit.
    """
    facts = {"limits": "; ".join(told for angle, limit in limits.items() for told in _limits(angle, limit))}
    if held.fold is not None and not clusters.get(names[0]):
        facts["folds"] = f"nonstandard: subjects are dealt to {STANDARD_FOLDS} in turn"
    if held.shots is not None:
        tested = held.dataset if held.dataset is not None else held.person
        told = tested if isinstance(tested, str | int) else ", ".join(tested or ())
        facts["shots"] = f"{held.shots} labelled samples of {told} are drawn to train on"
    return {name: told for name, told in facts.items() if told}


def _limits(angle: str, limit: Limit) -> list[str]:
    if isinstance(limit, Mapping):
        return [f"{angle} of {name} to {most:g} deg" for name, most in limit.items() if most is not None]
    return [] if limit is None else [f"{angle} to {limit:g} deg"]
